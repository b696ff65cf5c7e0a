"""Fetch an image from the web for `web-download`, trusting neither the address nor the server.

Names are resolved here, every address is checked, and the connection goes to an address that was checked; a
redirect starts again from the beginning. So no answer of a name server, given twice, leads elsewhere. The
check is made once more where the socket is made, the one door that no way of writing an address goes around.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from ipaddress import ip_address
from urllib.parse import urljoin

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from skerry.config import ImportsSection
from skerry.core.destinations import Address, Destinations, refused
from skerry.core.errors import BrokenOff, InvalidInput, TooSlow

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host name and a port to the addresses that it stands for, as text. Raises OSError."""

REDIRECTS = 5
"""So many are followed at most."""

_PATIENCE = 30.0
"""Seconds for one connection and the head of its answer."""

_LONGEST = 86400.0
"""Seconds for one image at most."""

_REDIRECTS = (301, 302, 303, 307, 308)


def destinations(section: ImportsSection) -> Destinations:
    """Where the settings let downloads go. Raises ConfigError."""
    return Destinations(
        schemes=section.allowed_schemes,
        ports=section.allowed_ports,
        allowed_hosts=section.allowed_hosts,
        denied_hosts=section.denied_hosts,
        allowed_networks=section.allowed_networks,
        denied_networks=section.denied_networks,
    )


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(None, f"{host} cannot be a name: {error}") from error
    return [str(entry[4][0]) for entry in found]


class Web:
    """Downloads from where `destinations` lets them. How fast they must come is for `pace` to say."""

    def __init__(
        self, destinations: Destinations, *, resolve: Resolve = resolve, tls: ssl.SSLContext | None = None
    ) -> None:
        self._destinations = destinations
        self._resolver = _Guard(destinations, resolve)
        self._tls = tls

    async def check(self, url: str) -> None:
        """Raise InvalidInput when `url` is refused, or its host has no address that is allowed.

        Only the resolver is asked, and whatever it says, it is asked again when `chunks` goes there.
        """
        here = self._destinations.checked(url)
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._resolver.resolve(here.host or "", here.port or 0)
        except OSError:
            raise refused(url, "its host has no address that is allowed") from None

    async def chunks(self, url: str) -> AsyncGenerator[bytes]:
        """The bytes behind `url`; nobody is asked before the first is.

        Raises InvalidInput for what is refused or answered with an error, BrokenOff when the connection ends
        early, TooSlow.
        """
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            socket_factory=self._socket,
            use_dns_cache=False,
            force_close=True,
            ssl=self._tls or True,
        )
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=_LONGEST, sock_connect=_PATIENCE),
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "User-Agent": "skerry"},
        ) as session:
            try:
                async with await self._follow(session, url) as answer:
                    async for chunk in answer.content.iter_any():
                        yield chunk
            except aiohttp.ClientPayloadError as error:
                raise BrokenOff(f"The download of {url} broke off: {error}.") from error
            except aiohttp.ClientError as error:
                raise InvalidInput(f"{url} cannot be downloaded: {error}.") from error
            except TimeoutError:
                raise TooSlow(f"{url} did not answer in time.") from None

    async def _follow(self, session: aiohttp.ClientSession, url: str) -> aiohttp.ClientResponse:
        """The answer at the end of all redirects, each of them checked."""
        here = self._destinations.checked(url)
        for _ in range(REDIRECTS + 1):
            async with asyncio.timeout(_PATIENCE):
                answer = await session.get(here, allow_redirects=False)
            if answer.status not in _REDIRECTS or "Location" not in answer.headers:
                return _usable(answer)
            answer.close()
            here = self._destinations.checked(_joined(here, answer.headers["Location"]))
        raise InvalidInput(f"{url} redirects more than {REDIRECTS} times.")

    def _socket(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, target = address
        if not self._destinations.may_connect(_parsed(target[0])):
            raise PermissionError(None, f"{target[0]} is not allowed")
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


def _usable(answer: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    encoding = answer.headers.get("Content-Encoding", "identity")
    if answer.status == 200 and encoding == "identity":
        return answer
    answer.close()
    if answer.status != 200:
        raise InvalidInput(f"{answer.url} answers with {answer.status} {answer.reason}.")
    raise InvalidInput(f"{answer.url} sends its body encoded ({encoding}), which was not asked for.")


def _joined(here: URL, location: str) -> str:
    try:
        return urljoin(str(here), location)
    except ValueError:
        return location  # which is checked, and refused, as it is


def _parsed(text: str) -> Address:
    return ip_address(text.partition("%")[0])


class _Guard(AbstractResolver):
    """A resolver that knows no addresses but those that may be connected to."""

    def __init__(self, destinations: Destinations, resolve: Resolve) -> None:
        self._destinations = destinations
        self._resolve = resolve

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host` that are allowed. Raises OSError when there are none."""
        found = [_parsed(text) for text in await self._resolve(host, port)]
        allowed = [address for address in found if self._destinations.may_connect(address)]
        if not allowed:
            raise OSError(None, f"no address of {host} is allowed" if found else f"{host} has no address")
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=0,
            )
            for address in allowed
        ]

    async def close(self) -> None:
        """Nothing is held."""
