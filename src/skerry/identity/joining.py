"""How a new site joins: the newcomer's side.

Nothing that matters is sent before it is known who listens: the federation is told by the pin in the token,
and only then is the request made, over a connection to a site that the authority vouches for. The key is
durable before the request, and `membership.json` is written last, so that a crash or a lost answer costs
nothing: the same command goes on.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from skerry.config import Config
from skerry.core import enrolment
from skerry.core.enrolment import Answer, Request, Token, decode_answer, encode_request
from skerry.core.errors import ConfigError, Conflict, Forbidden, SkerryError, UpstreamFailed
from skerry.core.signing import PublicKey
from skerry.core.site import check_url
from skerry.core.write_points import reached
from skerry.identity import tls
from skerry.identity.certificates import from_pem, key_of, make_key, subject, to_der, unusable
from skerry.identity.durable import replace_file
from skerry.identity.enrolling import ask
from skerry.identity.membership import Belongs, Folder, Upstream


@dataclass(frozen=True, slots=True)
class _Federation:
    """Whom a newcomer has found at a URL: the token's own."""

    authority: str
    centre_key: PublicKey


async def join(config: Config, url: str, token: Token) -> Belongs:
    """Make this site a member. The site itself must not run meanwhile.

    Raises ConfigError for settings that cannot be, Conflict when it belongs to others already, and whatever
    the other side has against it.
    """
    url = check_url(url)
    folder = _check_free(config, token)
    federation = await _whom(folder, url, token)
    folder.make()
    key = make_key(folder.key)
    request = Request(token.site, key.public, token.key.public, config.sites.url)
    context = (
        tls.client_context(federation.authority, None)
        if folder.issued
        else tls.client_context(federation.authority, None, folder.cert, folder.tls_key)
    )
    said = await ask(url, context, encode_request(request, token.key, key))
    try:
        answer = decode_answer(said, request, (federation.centre_key,))
        if folder.issued:
            _check(answer)
    except ValueError as error:
        raise UpstreamFailed(f"The answer of {url} cannot be used: {error}.") from None
    reached("join.answered")
    upstream = await _upstream(answer, federation, url)
    if folder.issued:
        replace_file(folder.authority, federation.authority.encode())
        replace_file(folder.cert, answer.certificate.encode())
    reached("join.certified")
    belongs = Belongs(answer.site, upstream, answer.centre, answer.centre_keys)
    folder.keep(belongs)
    return belongs


def _check_free(config: Config, token: Token) -> Folder:
    """Raise what stands against this site joining another at all."""
    folder = Folder(config)
    if config.upstream.url:
        raise ConfigError(
            "[upstream] url is set: this site has an upstream already.",
            hint="Take it out of the settings; joining gives the site its upstream.",
        )
    if config.site.name not in (token.site, type(config.site)().name):
        raise ConfigError(
            f"[site] name is {config.site.name!r}, and the token is for {token.site!r}.",
            hint=f'Write name = "{token.site}", or take the line out.',
        )
    if folder.membership.exists():
        raise Conflict(
            f"This site is a member already: see {folder.membership}.",
            hint="To have it join anew, delete that file, and add the site again at the centre.",
        )
    if folder.authority_key.exists():
        raise Conflict(
            f"This site is a centre itself: it has an authority in {folder.path}.",
            hint="If no site has joined it yet, delete that folder.",
        )
    return folder


async def _whom(folder: Folder, url: str, token: Token) -> _Federation:
    """Who listens there, if it is the federation of the token."""
    said = await ask(url, tls.blind_context())
    try:
        document: Any = msgspec.json.decode(said)
        authority, centre_key = str(document["authority"]), PublicKey.parse(document["centre_key"])
        issues = bool(document["issues"])
        found = enrolment.pin(to_der(from_pem(authority)), centre_key)
    except (ValueError, LookupError, TypeError, msgspec.DecodeError):
        raise UpstreamFailed(
            f"{url} does not say whom one would join there.", hint="Is it the [sites] url of a site?"
        ) from None
    if found != token.pin:
        raise Forbidden(
            f"{url} is not the federation that this token is for.",
            hint="Is the URL right? If it is: somebody may be in between, or the centre has a new key since;"
            " have a new token made.",
        )
    if issues != folder.issued:
        raise ConfigError(
            "[sites] cert, key and authority are set, and the centre issues certificates itself."
            if issues
            else "Here the operator issues certificates: [sites] cert, key and authority are needed.",
            hint="See docs/sites.md, Certificates of your own.",
        )
    if not issues and to_der(from_pem(folder.read_authority())) != to_der(from_pem(authority)):
        raise unusable(Path(folder.authority), "it is another authority than the one of the centre")
    return _Federation(authority, centre_key)


def _check(answer: Answer) -> None:
    """Raise ValueError for a certificate that is not the one asked for."""
    issued = from_pem(answer.certificate)
    if subject(issued) != answer.site or key_of(issued) != answer.key:
        raise ValueError("the certificate is not this site's")


async def _upstream(answer: Answer, federation: _Federation, url: str) -> Upstream:
    """The site to follow: the one that was asked, if that is the upstream, since it can be reached."""
    try:
        await ask(url, tls.client_context(federation.authority, answer.upstream))
        return Upstream(answer.upstream, url)
    except SkerryError:
        if answer.upstream_url:
            return Upstream(answer.upstream, answer.upstream_url)
    raise Conflict(
        f"Site {answer.site} is to hang at {answer.upstream}, and nobody knows its URL.",
        hint=f"Join at the [sites] url of {answer.upstream}; this token still works here.",
    )
