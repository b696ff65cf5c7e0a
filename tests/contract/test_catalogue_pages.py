"""What every catalogue promises about lists: Glance's rules, spelled out again over plain Python lists."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from sqlalchemy import Connection

from skerry.catalog.database import Database
from skerry.catalog.records import Records
from skerry.core.errors import InvalidInput
from skerry.core.image import Image, Member, MemberStatus, Status, Visibility
from skerry.core.query import COMPARISONS, SORT_KEYS, Query, Scope, parse

NewImage = Callable[..., Image]
Shelf = tuple[list[Image], dict[str, list[Member]]]

PROJECTS = ("p1", "p2", "p3")
_COMPARE = {"gt": operator.gt, "gte": operator.ge, "eq": operator.eq,
            "neq": operator.ne, "lt": operator.lt, "lte": operator.le}  # fmt: skip
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def shelf(records: Records, new_image: NewImage) -> Shelf:
    """Images of few values, so that each is met often and sort keys tie."""
    chance = Random(4)
    images, members = [], {}
    for n in range(1, 41):
        at = EPOCH + timedelta(seconds=chance.randrange(4))
        image = await records.put(
            new_image(
                n,
                name=chance.choice((None, "a", "A", "b,c", 'q"', "ü")),
                status=chance.choice((Status.QUEUED, Status.ACTIVE)),
                visibility=chance.choice(list(Visibility)),
                owner=chance.choice((None, *PROJECTS)),
                disk_format=chance.choice((None, "raw", "qcow2")),
                size=chance.choice((None, 0, 1, 1 << 40)),
                min_ram=chance.choice((0, 512)),
                checksum=chance.choice((None, "c")),
                os_hidden=chance.random() < 0.2,
                protected=chance.random() < 0.3,
                created_at=at,
                updated_at=at + timedelta(seconds=chance.randrange(3)),
                tags=frozenset(chance.sample(("t1", "t2", "t3"), chance.randrange(4))),
                properties={
                    key: chance.choice(("x", "y", None)) for key in ("k1", "k2") if chance.random() < 0.7
                },
            )
        )
        shared = [
            Member(image.id, project, chance.choice(list(MemberStatus)), EPOCH, EPOCH)
            for project in PROJECTS
            if chance.random() < 0.4
        ]
        if shared:
            await records.put_members(image.id, shared)
        images.append((await records.get(image.id)).image)
        members[image.id] = shared
    return images, members


async def _walk(records: Records, query: Query, scope: Scope) -> list[Image]:
    """All pages from the first to the last."""
    images: list[Image] = []
    while True:
        page = await records.page(query, scope)
        images += page.images
        assert len(page.images) <= query.limit
        if page.next_marker is None:
            return images
        assert len(page.images) == query.limit
        assert page.next_marker == page.images[-1].id
        query = replace(query, marker=page.next_marker)


def _expected(shelf: Shelf, query: Query, scope: Scope) -> list[Image]:
    images, members = shelf
    chosen = [
        image
        for image in images
        if _listed(image, members[image.id], query, scope) and _matches(image, query)
    ]
    for name, ascending in reversed(query.sort):
        kind: Any = 0 if name == "size" else ""
        key = operator.attrgetter(name)
        chosen.sort(key=lambda image: kind if key(image) is None else key(image), reverse=not ascending)
    return chosen


def _listed(image: Image, members: Sequence[Member], query: Query, scope: Scope) -> bool:
    own = image.owner is not None and image.owner == scope.project_id
    shared = image.visibility == "shared" and any(
        member.project_id == scope.project_id and query.member_status in (None, member.status)
        for member in members
    )
    if not (scope.is_admin or own or shared or image.visibility in ("public", "community")):
        return False
    if query.visibility is not None:
        return image.visibility == query.visibility
    return query.every_visibility or own or image.visibility != "community"


def _matches(image: Image, query: Query) -> bool:
    return (
        all(
            getattr(image, name) is not None and str(getattr(image, name)) in values
            for name, values in query.equal.items()
        )
        and all(image.properties.get(name) == value for name, value in query.properties.items())
        and query.tags <= image.tags
        and all(_COMPARE[how](getattr(image, name), moment) for name, how, moment in query.times)
        and (query.size_min is None or (image.size is not None and image.size >= query.size_min))
        and (query.size_max is None or (image.size is not None and image.size <= query.size_max))
        and query.hidden in (None, image.os_hidden)
        and query.protected in (None, image.protected)
    )


_times = st.builds(
    lambda how, seconds: how + (EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    st.sampled_from(["", *(f"{comparison}:" for comparison in COMPARISONS)]),
    st.integers(-1, 6),
)
_sizes = st.sampled_from(["-1", "0", "1", "1099511627776", "9" * 30])
_truths = st.sampled_from(["true", "false"])
_params = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["a", "in:a,A", 'in:"b,c",ü', "eq:a", "", "in:"]),
        "status": st.sampled_from(["active", "in:active,queued", "no-such"]),
        "disk_format": st.sampled_from(["raw", "in:raw,qcow2"]),
        "owner": st.sampled_from(PROJECTS),
        "checksum": st.just("c"),
        "min_ram": st.sampled_from(["0", "512"]),
        "size": _sizes,
        "size_min": _sizes,
        "size_max": _sizes,
        "created_at": _times,
        "updated_at": _times,
        "k1": st.sampled_from(["x", "y"]),
        "k2": st.sampled_from(["x", "y"]),
        "no-such-property": st.just("x"),
        "visibility": st.sampled_from([*Visibility, "all"]),
        "member_status": st.sampled_from([*MemberStatus, "all"]),
        "os_hidden": _truths,
        "protected": _truths,
        "sort": st.lists(
            st.builds("{}{}".format, st.sampled_from(SORT_KEYS), st.sampled_from(["", ":asc", ":desc"])),
            min_size=1,
            max_size=4,
        ).map(",".join),
        "limit": st.sampled_from(["1", "2", "7", "1000"]),
    },
)
_scopes = st.builds(Scope, st.sampled_from([None, *PROJECTS, "p9"]), st.booleans())


@given(
    params=_params,
    tags=st.sets(st.sampled_from(["t1", "t2", "t3", "t4"]), max_size=3),
    scope=_scopes,
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
async def test_a_list_shows_what_glance_would_show_in_its_order(
    records: Records, shelf: Shelf, params: dict[str, str], tags: set[str], scope: Scope
) -> None:
    query = parse(MultiDict([*params.items(), *(("tag", tag) for tag in tags)]))

    assert await _walk(records, query, scope) == _expected(shelf, query, scope)


async def test_pages_are_the_list_cut_up_whatever_the_order(records: Records, shelf: Shelf) -> None:
    scope = Scope(None, True)
    for key in SORT_KEYS:
        for direction in ("asc", "desc"):
            query = parse(MultiDict(limit="4", visibility="all", sort_key=key, sort_dir=direction))

            assert await _walk(records, query, scope) == _expected(shelf, query, scope), (key, direction)


async def test_every_comparison_of_times_is_as_it_says(records: Records, shelf: Shelf) -> None:
    scope = Scope(None, True)
    for name in ("created_at", "updated_at"):
        for comparison in COMPARISONS:
            query = parse(MultiDict({name: f"{comparison}:2026-01-01T00:00:02Z", "visibility": "all"}))
            expected = _expected(shelf, query, scope)

            assert await _walk(records, query, scope) == expected != [], (name, comparison)


async def test_a_list_follows_every_change(records: Records, new_image: NewImage) -> None:
    everything, scope = parse(MultiDict()), Scope("p1", False)

    async def names() -> list[str | None]:
        return [image.name for image in (await records.page(everything, scope)).images]

    assert await names() == []
    image = await records.create(new_image(1, name="one", owner="p2", visibility=Visibility.SHARED))
    assert await names() == []
    await records.add_member(image.id, "p1", most=1)
    assert await names() == []
    await records.set_member_status(image.id, "p1", MemberStatus.ACCEPTED)
    assert await names() == ["one"]
    await records.change(image.id, lambda image: replace(image, name="two"))
    assert await names() == ["two"]
    await records.remove_member(image.id, "p1")
    assert await names() == []
    await records.change(image.id, lambda image: replace(image, visibility=Visibility.PUBLIC))
    assert await names() == ["two"]
    await records.delete(image.id, lambda image: image)
    assert await names() == []


async def test_a_page_read_while_something_changes_is_not_shown_again(
    records: Records, database: Database, new_image: NewImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    query, scope = parse(MultiDict()), Scope(None, True)
    read = database.read

    async def read_then_be_overtaken(work: Callable[[Connection], object]) -> object:
        found = await read(work)
        monkeypatch.undo()
        await records.create(new_image(1))
        return found

    monkeypatch.setattr(database, "read", read_then_be_overtaken)
    assert not (await records.page(query, scope)).images

    assert len((await records.page(query, scope)).images) == 1


async def test_a_page_is_read_once_until_something_changes(
    records: Records, database: Database, new_image: NewImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await records.create(new_image(1))
    read, reads = database.read, []

    async def count(work: Callable[[Connection], object]) -> object:
        reads.append(work)
        return await read(work)

    monkeypatch.setattr(database, "read", count)
    for changes in range(3):
        for _ in range(2):
            await records.page(parse(MultiDict(name="n", k="v")), Scope("p1", False))
            await records.page(parse(MultiDict(name="n", k="w")), Scope("p1", False))
        assert len(reads) == 2 * (changes + 1)
        await records.add_member(image.id, f"p{changes}", most=3)


async def test_a_limit_of_none_gives_an_empty_page(records: Records, shelf: Shelf) -> None:
    page = await records.page(parse(MultiDict(limit="0")), Scope(None, True))

    assert (list(page.images), page.next_marker) == ([], None)


async def test_a_page_that_ends_the_list_has_no_next(records: Records, new_image: NewImage) -> None:
    images = [await records.create(new_image(n)) for n in range(4)]
    query = parse(MultiDict(limit="2", sort="id:asc"))

    first = await records.page(query, Scope(None, True))
    last = await records.page(replace(query, marker=first.next_marker), Scope(None, True))

    assert [*first.images, *last.images] == images
    assert last.next_marker is None


async def test_a_marker_that_is_not_there_is_refused(records: Records, shelf: Shelf) -> None:
    for marker in ("", "no-such-id", "x" * 5000):
        with pytest.raises(InvalidInput, match="No image found with ID"):
            await records.page(parse(MultiDict(marker=marker)), Scope(None, True))


async def test_a_marker_that_the_caller_may_not_see_is_refused_as_if_it_were_not_there(
    records: Records, new_image: NewImage
) -> None:
    image = await records.create(new_image(1, owner="p2", visibility=Visibility.SHARED))
    query = parse(MultiDict(marker=image.id))

    for scope in (Scope("p1", False), Scope(None, False)):
        with pytest.raises(InvalidInput, match="No image found with ID"):
            await records.page(query, scope)
    for project in ("p1", "p2"):
        if project == "p1":
            await records.add_member(image.id, "p1", most=1)
        assert not (await records.page(query, Scope(project, False))).images


async def test_a_marker_that_the_filters_leave_out_still_marks_its_place(
    records: Records, shelf: Shelf
) -> None:
    images, _ = shelf
    ordered = sorted(images, key=operator.attrgetter("id"))
    marker = next(image for image in ordered[20:] if image.status is Status.QUEUED)
    query = parse(MultiDict(marker=marker.id, sort="id:asc", status="active", visibility="all", limit="1000"))

    page = await records.page(replace(query, hidden=None), Scope(None, True))

    after = [image for image in ordered if image.id > marker.id and image.status is Status.ACTIVE]
    assert list(page.images) == after


async def test_a_filter_with_a_great_many_words_is_answered(records: Records, shelf: Shelf) -> None:
    words = [f"w{n}" for n in range(2000)]
    many = MultiDict([("tag", word) for word in words] + [(word, "x") for word in words])

    assert not (await records.page(parse(many), Scope("p1", False))).images
    one_of = parse(
        MultiDict(name="in:" + ",".join([*words, "a"]), visibility="all", limit="1000", os_hidden="true")
    )
    found = (await records.page(replace(one_of, hidden=None), Scope(None, True))).images
    assert len(found) == sum(image.name == "a" for image in shelf[0]) > 0


_words = st.sampled_from(
    ["id", "name", "status", "size", "size_min", "owner", "created_at", "tag", "limit", "marker"]
)
_awkward = st.sampled_from(
    ["in:", "in:,,", 'in:"a,b"', "gt:0001-01-01T00:00:00+23:59", "9" * 4000, "%", "_", "'", '"']
)


@given(
    params=st.lists(
        st.tuples(_words | st.text(max_size=5), _awkward | st.text(max_size=9) | st.integers().map(str)),
        max_size=5,
    ),
    scope=_scopes,
)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
async def test_any_query_is_answered_or_refused(
    records: Records, params: list[tuple[str, str]], scope: Scope
) -> None:
    try:
        query = parse(MultiDict(params))
        page = await records.page(query, scope)
    except InvalidInput:
        return
    assert not page.images
