"""The attacks of The Update Framework (specification 1.0, section 1.5.2), by an upstream that is not honest.

Each is noticed, changes nothing, and is over as soon as somebody honest answers.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from skerry.core.errors import FeedRefused
from skerry.core.feed.entry import Entry, Kind, Signed, Stream, sign_entry
from skerry.core.feed.journal import Page, Trouble, Veil
from skerry.core.signing import SigningKey
from tests.unit.feed.ledger import LIFETIME, Follower, Home


@pytest.fixture
def home() -> Home:
    result = Home()
    for number in range(3):
        result.write(f"image-{number}", {"number": number})
    return result


@pytest.fixture
def follower(home: Home) -> Follower:
    result = Follower(home)
    result.follow(home)
    return result


def refuses(follower: Follower, page: Page, trouble: Trouble) -> None:
    before = follower.documents()
    page = replace(page, place=follower.place)  # whoever lies says that it is what was asked for
    with pytest.raises(FeedRefused) as refusal:
        follower.take(page)
    assert refusal.value.trouble is trouble
    assert follower.standing.trouble is trouble
    assert follower.documents() == before


def recovers(follower: Follower, home: Home) -> None:
    follower.follow(home)
    assert follower.standing.trouble is None
    assert follower.documents() == home.documents()


def test_arbitrary_records_that_the_home_has_not_signed(home: Home, follower: Follower) -> None:
    thief = SigningKey.generate()
    entry = Entry(
        Stream("centre"), 1, home.standing.revision + 1, Kind.IMAGE, "image-0", {"evil": True}, home.now
    )
    page = replace(home.give(follower.place), items=[sign_entry(entry, thief)])

    refuses(follower, page, Trouble.FORGED)
    recovers(follower, home)


def test_a_record_changed_by_one_letter(home: Home, follower: Follower) -> None:
    home.write("image-0", {"number": 7})
    page = home.give(follower.place)
    (item,) = page.items
    assert isinstance(item, Signed)

    refuses(follower, replace(page, items=[replace(item, text=item.text.replace("7", "8"))]), Trouble.FORGED)
    recovers(follower, home)


def test_a_veil_that_the_home_has_not_signed(home: Home, follower: Follower) -> None:
    page = home.give(follower.place)
    (item, *_) = home.give(replace(follower.place, revision=0), may_read=lambda row: False).items
    assert isinstance(item, Veil)
    veil = replace(item, revision=home.standing.revision + 1)

    refuses(follower, replace(page, items=[veil]), Trouble.FORGED)
    refuses(follower, replace(page, items=[replace(veil, leaf=b"x" * 32)]), Trouble.FORGED)
    recovers(follower, home)


def test_rollback_to_a_catalogue_that_was_true_once(home: Home, follower: Follower) -> None:
    old = home.give(replace(follower.place, revision=0))
    home.write("image-0", None, urgent=True)
    follower.follow(home)

    refuses(follower, old, Trouble.OLDER)
    recovers(follower, home)


def test_an_old_record_of_something_deleted_is_not_played_again(home: Home, follower: Follower) -> None:
    (first, *_) = home.give(replace(follower.place, revision=0)).items
    home.write("image-0", None, urgent=True)
    home.prune()
    follower.follow(home)

    refuses(follower, replace(home.give(follower.place), items=[first]), Trouble.OLDER)
    assert isinstance(first, Signed)
    refuses(follower, replace(home.give(follower.place), urgent=[first]), Trouble.OLDER)


def test_what_was_deleted_does_not_come_back_in_a_catalogue_read_anew_that_never_ends(
    home: Home, follower: Follower
) -> None:
    old = home.give(replace(follower.place, revision=0))
    home.write("image-0", None, urgent=True)
    home.prune()
    follower.follow(home)
    follower.rows = {key: row for key, row in follower.rows.items() if row.leaf}

    refuses(follower, replace(old, head=None, more=True), Trouble.OLDER)
    recovers(follower, home)


def test_indefinite_freeze(home: Home, follower: Follower) -> None:
    frozen = home.give(follower.place)
    home.write("image-0", None, urgent=True)

    follower.take(frozen)

    assert follower.standing.judged(home.now + LIFETIME + timedelta(seconds=1)) is Trouble.WITHHELD


def test_a_record_that_is_kept_back(home: Home, follower: Follower) -> None:
    home.write("image-0", None, urgent=True)
    home.write("image-1", {"number": 100})
    page = home.give(follower.place)

    refuses(follower, replace(page, items=page.items[1:]), Trouble.MIXED)
    recovers(follower, home)


def test_mix_and_match_of_records_from_different_times(home: Home, follower: Follower) -> None:
    home.write("image-0", {"number": 10})
    early = home.give(follower.place)
    home.write("image-0", {"number": 20})
    home.write("image-1", {"number": 21})
    late = home.give(follower.place)

    refuses(follower, replace(late, items=[*early.items, late.items[1]]), Trouble.MIXED)
    recovers(follower, home)


def test_records_of_another_home_given_out_for_this_ones(home: Home, follower: Follower) -> None:
    other = Home("lyon", home.key)
    for _ in range(4):
        other.write("image-0", {"evil": True})

    refuses(
        follower, replace(home.give(follower.place), items=other.give(follower.place).items), Trouble.FORGED
    )
    refuses(follower, replace(home.give(follower.place), head=other.standing.head), Trouble.FORGED)


def test_a_home_restored_from_a_backup_changes_nothing_until_a_person_begins_a_new_epoch(
    home: Home, follower: Follower
) -> None:
    backup = dict(home.rows), home.standing
    home.write("after-the-backup", {})
    follower.follow(home)
    home.rows, home.standing = dict(backup[0]), backup[1]

    refuses(follower, home.give(follower.place), Trouble.OLDER)
    assert "after-the-backup" in follower.documents()

    home.begin_anew()
    recovers(follower, home)
    assert "after-the-backup" not in follower.documents()


def test_a_restored_home_that_has_written_other_records_since_is_noticed_too(
    home: Home, follower: Follower
) -> None:
    backup = dict(home.rows), home.standing
    home.write("one", {"history": "first"})
    follower.follow(home)
    home.rows, home.standing = dict(backup[0]), backup[1]
    home.write("two", {"history": "second"})

    refuses(follower, home.give(follower.place), Trouble.MIXED)
    refuses(follower, home.give(follower.place), Trouble.OLDER)
    home.write("three", {"history": "second"})
    refuses(follower, home.give(follower.place), Trouble.MIXED)
    refuses(follower, home.give(follower.place), Trouble.OLDER)
    assert "one" in follower.documents()


def test_a_restored_home_that_has_deleted_and_pruned_other_records_since_is_noticed_too(
    home: Home, follower: Follower
) -> None:
    backup = dict(home.rows), home.standing
    home.write("one", {})
    home.write("two", {})
    follower.follow(home)
    home.rows, home.standing = dict(backup[0]), backup[1]
    home.write("three", {})
    home.write("three", None)
    home.prune()
    home.write("four", {})

    refuses(follower, home.give(follower.place), Trouble.MIXED)
    refuses(follower, home.give(follower.place), Trouble.OLDER)
    assert {"one", "two"} <= follower.documents().keys()


def test_an_epoch_that_is_over_does_not_come_back(home: Home, follower: Follower) -> None:
    old = home.give(replace(follower.place, revision=0))
    home.begin_anew()
    follower.follow(home)

    refuses(follower, old, Trouble.OLDER)
