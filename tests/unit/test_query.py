"""Reading the query string of a list, as Glance does."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from skerry.core.errors import InvalidInput
from skerry.core.image import MemberStatus, Visibility
from skerry.core.query import Query, parse


def _parse(*given: tuple[str, str]) -> Query:
    return parse(MultiDict(given))


def test_nothing_asked_for_is_the_newest_images_that_are_not_hidden() -> None:
    assert _parse() == Query(
        equal={}, properties={}, hidden=False, sort=(("created_at", False), ("id", False)), limit=25
    )


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("debian", ("debian",)),
        ("eq:debian", ("debian",)),
        ("", ("",)),
        ("in:a,b", ("a", "b")),
        ('in:"a,b",c', ("a,b", "c")),
        (r'in:"a\"b"', (r"a\"b",)),
        ("in:a,,b", ("a", "", "b")),
        ("2026-01-01T00:00:00Z", ("2026-01-01T00:00:00Z",)),
    ],
)
def test_a_base_attribute_is_one_value_or_a_list(expression: str, values: tuple[str, ...]) -> None:
    assert _parse(("name", expression)).equal == {"name": values}


@pytest.mark.parametrize(
    ("param", "expression", "message"),
    [
        ("name", "like:a", "Unable to filter by unknown operator 'like'"),
        ("status", "neq:active", "unknown operator 'neq'"),
        ("name", 'in:a"b"', "no comma before opening quotation mark"),
        ("name", 'in:"a"b', "no comma after closing quotation mark"),
        ("name", 'in:"a', "The quote is not closed"),
        ("created_at", "yesterday", 'Bad "created_at" query filter format. Use ISO 8601'),
        ("updated_at", "around:2026-01-01T00:00:00Z", "Unable to filter on a unknown operator"),
        ("updated_at", "gt:", 'Bad "updated_at" query filter format'),
        ("size_min", "big", "Unable to filter on a range with a non-numeric value"),
        ("size_max", "", "non-numeric"),
        ("min_ram", "1.5", "non-numeric"),
        ("limit", "many", "limit param must be an integer"),
        ("limit", "-1", "limit param must be positive"),
        ("visibility", "secret", "Invalid visibility value: secret"),
        ("member_status", "maybe", "Invalid status: maybe"),
        ("os_hidden", "yes", "Invalid value 'yes' for 'os_hidden' filter"),
        ("protected", "True", "Invalid value 'True' for 'protected' filter"),
        ("changes-since", "2026-01-01T00:00:00Z", "no longer available on v2"),
        ("sort", "owner", "Invalid sort key: owner. It must be one of the following: name, status"),
        ("sort", "name:up", "Invalid sort direction: up"),
        ("sort", "", "Invalid sort key: "),
        ("sort_key", "tags", "Invalid sort key: tags"),
        ("sort_dir", "up", "Invalid sort direction: up"),
        ("name", "a\0b", "not text"),
        ("a\ud800b", "x", "not text"),
        ("tag", "\0", "not text"),
    ],
)
def test_what_makes_no_sense_is_refused_in_the_words_of_glance(
    param: str, expression: str, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        _parse((param, expression))
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("expression", "comparison", "moment"),
    [
        ("2026-01-02T03:04:05Z", "eq", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("lt:2026-01-02T03:04:05", "lt", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("gte:2026-01-02T03:04:05+02:00", "gte", datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("neq:2026-01-02", "neq", datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_time_is_compared_in_utc(expression: str, comparison: str, moment: datetime) -> None:
    assert _parse(("updated_at", expression)).times == (("updated_at", comparison, moment),)


def test_numbers_flags_and_who_may_see_are_understood() -> None:
    query = _parse(
        ("size_min", "10"),
        ("size_max", "9" * 40),
        ("min_disk", "5"),
        ("os_hidden", "TRUE"),
        ("protected", "false"),
        ("visibility", "shared"),
        ("member_status", "pending"),
        ("owner", "p1"),
    )

    assert (query.size_min, query.size_max) == (10, (1 << 63) - 1)
    assert query.equal == {"min_disk": ("5",), "owner": ("p1",)}
    assert (query.hidden, query.protected) == (True, False)
    assert (query.visibility, query.every_visibility) == (Visibility.SHARED, False)
    assert query.member_status is MemberStatus.PENDING


def test_all_means_all() -> None:
    query = _parse(("visibility", "all"), ("member_status", "all"))

    assert (query.visibility, query.every_visibility, query.member_status) == (None, True, None)


def test_tags_add_up_and_unknown_names_are_custom_properties() -> None:
    query = _parse(("tag", "a"), ("tag", " b "), ("os_distro", "debian"), ("os_distro", "ubuntu"))

    assert query.tags == {"a", "b"}
    assert query.properties == {"os_distro": "ubuntu"}


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ([("sort", "name")], "-name -created_at -id"),
        ([("sort", "name:asc")], "+name +created_at +id"),
        ([("sort", "name:asc, size")], "+name -size -created_at -id"),
        ([("sort", "id:asc,created_at:desc,id:desc")], "+id -created_at"),
        ([("sort_key", "name")], "-name -created_at -id"),
        ([("sort_key", "name"), ("sort_dir", "asc")], "+name +created_at +id"),
        ([("sort_key", "name"), ("sort_key", "size"), ("sort_dir", "asc")], "+name +size +created_at +id"),
        (
            [("sort_key", "name"), ("sort_key", "size"), ("sort_dir", "asc"), ("sort_dir", "desc")],
            "+name -size -created_at -id",
        ),
        ([("sort_dir", "asc")], "+created_at +id"),
    ],
)
def test_both_ways_to_ask_for_an_order_make_it_total_as_glance_does(
    given: list[tuple[str, str]], order: str
) -> None:
    expected = tuple((word[1:], word[0] == "+") for word in order.split())

    assert _parse(*given).sort == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("sort", "name"), ("sort_key", "size")], "Old and new sorting syntax cannot be combined"),
        ([("sort_key", "name"), ("sort_dir", "asc"), ("sort_dir", "asc")], "Number of sort dirs"),
        ([("sort_dir", "asc"), ("sort_dir", "asc")], "Number of sort dirs"),
    ],
)
def test_orders_that_contradict_themselves_are_refused(given: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        _parse(*given)


def test_a_page_is_never_longer_than_the_site_allows() -> None:
    assert parse(MultiDict(limit="5000"), most=1000).limit == 1000
    assert parse(MultiDict(limit="0")).limit == 0
    assert parse(MultiDict(), default_limit=25, most=10).limit == 10


_known = st.sampled_from(
    ["id", "name", "status", "size", "size_min", "created_at", "updated_at", "visibility", "member_status",
     "tag", "os_hidden", "protected", "limit", "marker", "sort", "sort_key", "sort_dir", "min_ram"]
)  # fmt: skip
_odd = st.sampled_from(
    ["in:", 'in:"', 'in:"\\', ":", "gt:", "eq::", ",", "name:asc", "0001-01-01T00:00:00+23:59"]
)


@given(st.lists(st.tuples(_known | st.text(max_size=5), _odd | st.text(max_size=20)), max_size=6))
def test_any_query_string_is_understood_or_refused(given: list[tuple[str, str]]) -> None:
    try:
        query = _parse(*given)
    except InvalidInput:
        return
    assert 0 <= query.limit <= 1000
    assert {key for key, _ in query.sort} >= {"id"}
