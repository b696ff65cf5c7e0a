"""Where `web-download` may go. The rule alone: names are resolved and connections made by `transfer.web`."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from yarl import URL

from skerry.core.errors import ConfigError, InvalidInput

Address = IPv4Address | IPv6Address

_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_SPECIAL_TOO = tuple(map(ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20")))
"""Not of the public internet either, though not every Python knows it."""

_COMPATIBLE = IPv6Network("::/96")


class Destinations:
    """Allow and deny lists for schemes, hosts, ports and networks, as in [imports] of the settings.

    Addresses that are not of the public internet are denied unless a network of `allowed_networks` has them.
    An IPv6 address that carries an IPv4 address (mapped, 6to4, Teredo, NAT64) must pass as both.
    """

    def __init__(
        self,
        *,
        schemes: Sequence[str],
        ports: Sequence[int],
        allowed_hosts: Sequence[str] = (),
        denied_hosts: Sequence[str] = (),
        allowed_networks: Sequence[str] = (),
        denied_networks: Sequence[str] = (),
    ) -> None:
        """Raises ConfigError for what is not a network."""
        self._schemes = frozenset(schemes)
        self._ports = frozenset(ports)
        self._allowed_hosts = frozenset(map(_plain, allowed_hosts))
        self._denied_hosts = frozenset(map(_plain, denied_hosts))
        try:
            self._allowed = [ip_network(network) for network in allowed_networks]
            self._denied = [ip_network(network) for network in denied_networks]
        except ValueError as error:
            raise ConfigError(
                f"[imports] networks: {error}.", hint='Write networks such as "192.0.2.0/24".'
            ) from None

    def checked(self, text: str) -> URL:
        """The address of the web that `text` is. Raises InvalidInput when it is none or is not allowed.

        The one parsing of it: what is asked later must be this value. A host that is an address is checked;
        for a name, each address that it stands for is still to be.
        """
        try:
            url = URL(text)
            host = _plain(url.host or "")
        except ValueError:
            raise refused(text, "it is no address of the web") from None
        if url.scheme not in self._schemes:
            raise refused(text, "its scheme is not allowed")
        if not host:
            raise refused(text, "it names no host")
        if url.user is not None or url.password is not None:
            raise refused(text, "it carries a user name or password")
        if url.port not in self._ports:
            raise refused(text, "its port is not allowed")
        if host in self._denied_hosts or (self._allowed_hosts and host not in self._allowed_hosts):
            raise refused(text, "its host is not allowed")
        literal = _literal(host)
        if literal is not None and not self.may_connect(literal):
            raise refused(text, "its address is not allowed")
        return url

    def may_connect(self, address: Address) -> bool:
        """Whether a connection to this address may be made."""
        return all(self._passes(meant) for meant in _meanings(address))

    def _passes(self, address: Address) -> bool:
        if _in(address, self._allowed):
            return True
        special = not address.is_global or address.is_multicast or _in(address, _SPECIAL_TOO)
        return not special and not _in(address, self._denied)


def _meanings(address: Address) -> Iterator[Address]:
    """The address as what reaches the wire, and each IPv4 address that it carries."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
        return
    yield address
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if _in(address, _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _in(address: Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def refused(url: str, why: str) -> InvalidInput:
    """The error for an address that `web-download` does not go to, in Glance's words."""
    return InvalidInput(
        f"URI for web-download does not pass filtering: {url}", hint=f"Refused because {why}."
    )
