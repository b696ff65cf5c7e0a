"""How a site comes in, and how it takes a new key: what it asks for, who vouches for that, who believes it.

A *token* holds the private half of a key that is good for one site and one time; the centre keeps the public
half, so that neither its database nor a site in between can enrol somebody else. A request is signed twice:
by whom the centre knows (the token, or the key that the site has so far) and by the new key. It needs no
other credential, whichever sites it passes on its way. The answer is signed by the centre.
"""

import hashlib
import secrets
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec

from skerry.core.errors import Conflict, Forbidden, InvalidInput
from skerry.core.signing import PublicKey, SigningKey
from skerry.core.site import MEMBERS, MOST_KEYS, SiteRecord, SiteState, check_name, check_url
from skerry.core.wire import time_to_wire

JOIN = "/skerry/v1/join"
"""GET says whom a newcomer would join; POST asks for it, and for a new key or certificate later on."""

LARGEST = 64 << 10
"""Bytes of a request, or of an answer, at most."""

_VERSION = "sj1"


@dataclass(frozen=True, slots=True)
class Token:
    """What an operator carries from the centre to a new site. As text `sj1.lyon-3.SECRET.PIN`.

    `pin` is the `pin` of the federation that it belongs to.
    """

    site: str
    secret: bytes
    pin: bytes

    @classmethod
    def new(cls, site: str, pin: bytes) -> "Token":
        """A token that nobody has seen."""
        return cls(site, secrets.token_bytes(32), pin)

    @property
    def key(self) -> SigningKey:
        """What signs the request to join."""
        return SigningKey.from_secret(self.secret)

    def __str__(self) -> str:
        return f"{_VERSION}.{self.site}.{_text(self.secret)}.{_text(self.pin)}"

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Undo `str`. Raises InvalidInput."""
        hint = "Copy it whole, as `skerry site add` printed it."
        try:
            version, site, secret, pin = text.strip().split(".")
            token = cls(check_name(site), _bytes(secret), _bytes(pin))
        except (ValueError, InvalidInput):
            raise InvalidInput("This is no token.", hint=hint) from None
        if version != _VERSION or len(token.secret) != 32 or len(token.pin) != 32:
            raise InvalidInput("This is no token of this version of Skerry.", hint=hint)
        return token


def pin(authority: bytes, centre: PublicKey) -> bytes:
    """What stands for a federation: its authority's certificate (DER) and the key of its centre."""
    return hashlib.sha256(b"skerry federation\n" + centre.raw + authority).digest()


@dataclass(frozen=True, slots=True)
class Invitation:
    """What the centre keeps of a token: until when it is good, and by which key it was used, if it was."""

    site: str
    key: PublicKey
    expires: datetime
    used_by: PublicKey | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a site asks for: to be known by `key`, and to be reached at `url`, if it listens.

    `voucher` is whose word that is: the token's key, or the newest one that the site had before.
    """

    site: str
    key: PublicKey
    voucher: PublicKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the centre says: to be believed because `centre_keys[0]` has signed it.

    `certificate` is that of `key` (PEM), or empty where the operator issues them. `upstream_url` may be
    empty, when the upstream has not said where it listens.
    """

    site: str
    key: PublicKey
    upstream: str
    upstream_url: str
    certificate: str
    centre: str
    centre_keys: tuple[PublicKey, ...]


def encode_request(request: Request, voucher: SigningKey, key: SigningKey) -> bytes:
    """The request as it travels, signed by both."""
    text = msgspec.json.encode(
        {
            "type": "enrolment",
            "site": request.site,
            "key": str(request.key),
            "voucher": str(request.voucher),
            "url": request.url,
        }
    )
    signatures = [b64encode(one.sign(text)).decode() for one in (voucher, key)]
    return msgspec.json.encode({"text": text.decode(), "signatures": signatures})


def decode_request(body: bytes) -> Request:
    """The request, which is what both of its keys have signed. Raises InvalidInput."""
    try:
        text, (vouched, own) = _signed(body, 2)
        said = _object(text, "enrolment")
        request = Request(
            check_name(said["site"]),
            PublicKey.parse(said["key"]),
            PublicKey.parse(said["voucher"]),
            check_url(said["url"]) if said["url"] else "",
        )
    except (LookupError, TypeError, ValueError, RecursionError, msgspec.DecodeError) as error:
        raise InvalidInput(f"This is no request to join: {error!r:.100}.") from None
    if not (request.voucher.verifies(text, vouched) and request.key.verifies(text, own)):
        raise InvalidInput("The request to join is not signed by its keys.")
    return request


def encode_answer(answer: Answer, key: SigningKey) -> bytes:
    """The answer as it travels, signed by the centre."""
    text = msgspec.json.encode(
        {
            "type": "enrolled",
            "site": answer.site,
            "key": str(answer.key),
            "upstream": answer.upstream,
            "upstream_url": answer.upstream_url,
            "certificate": answer.certificate,
            "centre": answer.centre,
            "centre_keys": [str(one) for one in answer.centre_keys],
        }
    )
    return msgspec.json.encode({"text": text.decode(), "signatures": [b64encode(key.sign(text)).decode()]})


def decode_answer(body: bytes, request: Request, centre_keys: tuple[PublicKey, ...]) -> Answer:
    """What the centre says to `request`. Raises ValueError, also when none of `centre_keys` has signed it."""
    try:
        text, (signature,) = _signed(body, 1)
        if not any(key.verifies(text, signature) for key in centre_keys):
            raise ValueError("the centre has not signed it")
        said = _object(text, "enrolled")
        answer = Answer(
            said["site"],
            PublicKey.parse(said["key"]),
            check_name(said["upstream"]),
            check_url(said["upstream_url"]) if said["upstream_url"] else "",
            str(said["certificate"]),
            check_name(said["centre"]),
            tuple(map(PublicKey.parse, said["centre_keys"])),
        )
    except (LookupError, TypeError, RecursionError, InvalidInput, msgspec.DecodeError) as error:
        raise ValueError(f"it makes no sense: {error!r:.100}") from None
    if (answer.site, answer.key) != (request.site, request.key):
        raise ValueError("it answers another request")
    return answer


def admit(
    request: Request, record: SiteRecord | None, invitation: Invitation | None, now: datetime
) -> SiteRecord:
    """The record of the site once its request is granted; as it was, when it was granted before.

    So a newcomer whose answer was lost may ask again, and nobody else. Raises Forbidden, Conflict.
    """
    if record is not None and request.voucher in record.keys:
        return _renewed(request, record, now)
    if record is None or invitation is None or invitation.key != request.voucher:
        raise Forbidden(
            f"This token is not the one for site {request.site}.",
            hint="It was mistyped, or replaced by a newer one, or the site has been removed.",
        )
    hint = f"Have a new one made: skerry site add {request.site}"
    if invitation.used_by is not None:
        if invitation.used_by in record.keys and invitation.used_by == request.key:
            return _renewed(request, record, now)
        raise Forbidden(f"The token for site {request.site} has been used.", hint=f"Remove the site. {hint}")
    if now >= invitation.expires:
        raise Forbidden(
            f"The token for site {request.site} expired at {time_to_wire(invitation.expires)}.", hint=hint
        )
    if record.state is not SiteState.INVITED:
        raise Conflict(f"Site {record.name} is {record.state}, and not invited.", site=record.name)
    return replace(
        record, state=SiteState.ACTIVE, keys=(request.key,), url=request.url, joined_at=now, keyed_at=now
    )


def _renewed(request: Request, record: SiteRecord, now: datetime) -> SiteRecord:
    """A member that goes by its key, or takes another."""
    if record.state not in MEMBERS:
        raise Forbidden(f"Site {record.name} is {record.state}.", hint="The operator of the centre decides.")
    if request.key == record.keys[0]:
        return replace(record, url=request.url)
    if request.voucher != record.keys[0] or request.key in record.keys:
        raise Forbidden(f"The key of site {record.name} has been replaced by a newer one.")
    if len(record.keys) >= MOST_KEYS:
        raise Conflict(
            f"Site {record.name} has had {MOST_KEYS} keys, the most that are kept.",
            hint="Remove the site and have it join anew.",
            site=record.name,
        )
    return replace(record, keys=(request.key, *record.keys), url=request.url, keyed_at=now)


class _Envelope(msgspec.Struct):
    """A text, and who has signed it, in Base64."""

    text: str
    signatures: list[str]


def _signed(body: bytes, count: int) -> tuple[bytes, list[bytes]]:
    if len(body) > LARGEST:
        raise ValueError(f"{len(body)} bytes are too many")
    envelope = msgspec.json.decode(body, type=_Envelope)
    signatures = [b64decode(one, validate=True) for one in envelope.signatures]
    if len(signatures) != count:
        raise ValueError(f"{len(signatures)} signatures")
    return envelope.text.encode(), signatures


def _object(text: bytes, kind: str) -> Mapping[str, Any]:
    document = msgspec.json.decode(text)
    if not isinstance(document, dict) or document.get("type") != kind:
        raise ValueError(f"no {kind}")
    return document


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
