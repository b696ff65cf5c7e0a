"""Who is let in by a token, who gets a new key, and who only says so."""

from base64 import b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from skerry.core import enrolment
from skerry.core.enrolment import (
    LARGEST,
    Answer,
    Invitation,
    Request,
    Token,
    admit,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)
from skerry.core.errors import Conflict, Forbidden, InvalidInput
from skerry.core.signing import SigningKey
from skerry.core.site import MOST_KEYS, SiteRecord, SiteState

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PIN = bytes(range(32))


@dataclass
class Centre:
    """What the centre knows of one site, and does when it is asked."""

    token: Token = field(default_factory=lambda: Token.new("lyon", PIN))
    now: datetime = NOW

    def __post_init__(self) -> None:
        self.record: SiteRecord | None = SiteRecord("lyon", "central", SiteState.INVITED)
        self.invitation: Invitation | None = Invitation(
            "lyon", self.token.key.public, NOW + timedelta(hours=1)
        )

    def ask(self, voucher: SigningKey, key: SigningKey, url: str = "") -> SiteRecord:
        request = Request("lyon", key.public, voucher.public, url)
        invited = self.record is not None and self.record.state is SiteState.INVITED
        self.record = admit(
            decode_request(encode_request(request, voucher, key)), self.record, self.invitation, self.now
        )
        if invited and self.invitation is not None:
            self.invitation = replace(self.invitation, used_by=key.public)
        return self.record


@pytest.fixture
def centre() -> Centre:
    return Centre()


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate()


def test_a_token_is_copied_as_text() -> None:
    token = Token.new("lyon-3", PIN)

    assert Token.parse(f" {token}\n") == token
    assert str(token).startswith("sj1.lyon-3.")


@pytest.mark.parametrize(
    "text", ["", "sj1.lyon", "sj2.lyon.AAAA.AAAA", "sj1.LYON.AAAA.AAAA", "sj1.a.b.c.d", "sj1.lyon.é.é"]
)
def test_what_is_no_token_is_told_so(text: str) -> None:
    with pytest.raises(InvalidInput, match="no token"):
        Token.parse(text)


def test_a_token_that_was_cut_short_is_told_so() -> None:
    with pytest.raises(InvalidInput):
        Token.parse(str(Token.new("lyon", PIN))[:-4])


def test_the_pin_depends_on_the_authority_and_on_the_key_of_the_centre(key: SigningKey) -> None:
    other = SigningKey.generate()
    pins = {enrolment.pin(a, k.public) for a in (b"one", b"two") for k in (key, other)}
    assert len(pins) == 4


def test_a_site_joins_with_its_token(centre: Centre, key: SigningKey) -> None:
    record = centre.ask(centre.token.key, key, "https://lyon:9293")

    assert record.state is SiteState.ACTIVE
    assert record.keys == (key.public,)
    assert record.url == "https://lyon:9293"
    assert record.joined_at == record.keyed_at == NOW


def test_a_newcomer_whose_answer_was_lost_asks_again(centre: Centre, key: SigningKey) -> None:
    record = centre.ask(centre.token.key, key)
    centre.now += timedelta(days=1)

    assert centre.ask(centre.token.key, key) == record


def test_nobody_else_joins_with_a_token_that_was_used(centre: Centre, key: SigningKey) -> None:
    centre.ask(centre.token.key, key)

    with pytest.raises(Forbidden, match="has been used"):
        centre.ask(centre.token.key, SigningKey.generate())


def test_a_token_expires(centre: Centre, key: SigningKey) -> None:
    centre.now += timedelta(hours=1)

    with pytest.raises(Forbidden, match="expired at 2026-01-01T01:00:00Z"):
        centre.ask(centre.token.key, key)


def test_a_token_of_somebody_elses_making_is_wrong(centre: Centre, key: SigningKey) -> None:
    with pytest.raises(Forbidden, match="not the one for site lyon"):
        centre.ask(Token.new("lyon", PIN).key, key)


def test_a_token_for_a_site_that_was_removed_is_wrong(centre: Centre, key: SigningKey) -> None:
    centre.record = centre.invitation = None

    with pytest.raises(Forbidden, match="not the one"):
        centre.ask(centre.token.key, key)


def test_a_site_that_was_revoked_before_it_joined_does_not(centre: Centre, key: SigningKey) -> None:
    centre.record = SiteRecord("lyon", "central", SiteState.REVOKED)

    with pytest.raises(Conflict, match="revoked"):
        centre.ask(centre.token.key, key)


def test_a_site_takes_a_new_key_by_the_word_of_the_old_one(centre: Centre, key: SigningKey) -> None:
    centre.ask(centre.token.key, key)
    centre.now += timedelta(days=1)
    new = SigningKey.generate()

    record = centre.ask(key, new)

    assert record.keys == (new.public, key.public)
    assert record.keyed_at == centre.now
    assert centre.ask(key, new) == record, "the answer may have been lost"


def test_an_old_key_vouches_for_nothing_new(centre: Centre, key: SigningKey) -> None:
    centre.ask(centre.token.key, key)
    second, third = SigningKey.generate(), SigningKey.generate()
    centre.ask(key, second)

    for thief in (third, key):
        with pytest.raises(Forbidden, match="replaced"):
            centre.ask(key, thief)


def test_a_request_for_a_key_that_was_replaced_since_is_not_played_again(
    centre: Centre, key: SigningKey
) -> None:
    centre.ask(centre.token.key, key)
    second, third = SigningKey.generate(), SigningKey.generate()
    centre.ask(key, second)
    centre.ask(second, third)

    with pytest.raises(Forbidden, match="replaced"):
        centre.ask(key, second)


def test_the_token_does_not_give_a_site_its_first_key_back(centre: Centre, key: SigningKey) -> None:
    centre.ask(centre.token.key, key)
    centre.ask(key, SigningKey.generate())

    with pytest.raises(Forbidden, match="replaced"):
        centre.ask(centre.token.key, key)


def test_a_revoked_site_gets_no_certificate_any_more(centre: Centre, key: SigningKey) -> None:
    record = centre.ask(centre.token.key, key)
    centre.record = replace(record, state=SiteState.REVOKED)

    for voucher in (key, centre.token.key):
        with pytest.raises(Forbidden, match="revoked"):
            centre.ask(voucher, key)


def test_keys_are_not_taken_without_end(centre: Centre, key: SigningKey) -> None:
    centre.ask(centre.token.key, key)
    for _ in range(MOST_KEYS - 1):
        new = SigningKey.generate()
        centre.ask(key, new)
        key = new

    with pytest.raises(Conflict, match=f"{MOST_KEYS} keys"):
        centre.ask(key, SigningKey.generate())


def request_to(centre: Centre, key: SigningKey) -> tuple[Request, bytes]:
    request = Request("lyon", key.public, centre.token.key.public)
    return request, encode_request(request, centre.token.key, key)


def test_a_request_that_was_changed_on_its_way_is_noticed(centre: Centre, key: SigningKey) -> None:
    _, body = request_to(centre, key)
    thief = SigningKey.generate()

    for old, new in (
        (str(key.public), str(thief.public)),
        ("lyon", "nice"),
        ('\\"url\\":\\"\\"', '\\"url\\":\\"https://x\\"'),
    ):
        changed = body.replace(old.encode(), new.encode())
        assert changed != body
        with pytest.raises(InvalidInput, match="not signed"):
            decode_request(changed)


def test_a_request_needs_both_signatures(centre: Centre, key: SigningKey) -> None:
    request, _ = request_to(centre, key)
    thief = SigningKey.generate()

    for voucher, own in ((thief, key), (centre.token.key, thief)):
        with pytest.raises(InvalidInput, match="not signed"):
            decode_request(encode_request(request, voucher, own))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"text": 1, "signatures": ["", ""]}',
        b'{"text": "{}", "signatures": ["!", ""]}',
        b'{"text": "{}", "signatures": []}',
        b'{"text": "{}", "signatures": 7}',
        b"[" * 60_000,
        msgspec.json.encode({"text": "[" * 60_000, "signatures": ["", ""]}),
        b'"' + b"x" * LARGEST + b'"',
    ],
)
def test_nonsense_is_no_request(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_request(body)


def answer_to(request: Request, centre: SigningKey) -> Answer:
    return Answer(request.site, request.key, "paris", "", "PEM", "central", (centre.public,))


def test_an_answer_is_believed_by_the_key_of_the_centre(centre: Centre, key: SigningKey) -> None:
    own = SigningKey.generate()
    request, _ = request_to(centre, key)
    answer = answer_to(request, own)

    assert decode_answer(encode_answer(answer, own), request, (own.public,)) == answer
    with pytest.raises(ValueError, match="not signed"):
        decode_answer(encode_answer(answer, SigningKey.generate()), request, (own.public,))


def test_an_answer_to_somebody_else_is_none(centre: Centre, key: SigningKey) -> None:
    own = SigningKey.generate()
    request, _ = request_to(centre, key)
    other = answer_to(replace(request, key=own.public), own)

    with pytest.raises(ValueError, match="another request"):
        decode_answer(encode_answer(other, own), request, (own.public,))


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 60_000, '{"type": "enrolled"}'])
def test_nonsense_is_no_answer(centre: Centre, key: SigningKey, text: str) -> None:
    own = SigningKey.generate()
    request, _ = request_to(centre, key)
    body = msgspec.json.encode({"text": text, "signatures": [b64encode(own.sign(text.encode())).decode()]})

    with pytest.raises(ValueError):
        decode_answer(body, request, (own.public,))
