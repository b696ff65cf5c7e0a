"""What a lab is made of."""

from pathlib import Path

import pytest

from skerry.config import load
from skerry.core.errors import InvalidInput
from skerry.lab.plan import CENTRAL, LabPlan, Named, hang, plan


def never() -> int:
    raise AssertionError("no free port is needed")


def lab(*edges: str, port: int = 9292, state: Path = Path("/state")) -> LabPlan:
    return plan(state, [(name, CENTRAL) for name in edges], port, never)


def named(*options: str) -> list[Named]:
    """`paris:` as a region, `lyon,brest` as edges."""
    return [Named(tuple(option.rstrip(":").split(",")), is_region=option[-1] == ":") for option in options]


def test_edges_listen_a_hundred_above_each_other() -> None:
    assert [(site.name, site.url) for site in lab("lyon", "brest").sites] == [
        ("central", "http://127.0.0.1:9292"),
        ("lyon", "http://127.0.0.1:9392"),
        ("brest", "http://127.0.0.1:9492"),
    ]


def test_with_port_0_every_site_listens_anywhere_free() -> None:
    free = iter([1111, 2222])
    assert [site.port for site in plan(Path("/state"), [("lyon", CENTRAL)], 0, lambda: next(free)).sites] == [
        1111,
        2222,
    ]


def test_the_edges_named_right_after_a_region_hang_at_it_and_all_others_at_the_centre() -> None:
    options = named("oslo", "paris:", "lyon,brest", "nice", "berlin:", "bonn", "rome:")
    assert hang(options) == [
        ("oslo", "central"),
        ("paris", "central"), ("lyon", "paris"), ("brest", "paris"),
        ("nice", "central"),
        ("berlin", "central"), ("bonn", "berlin"),
        ("rome", "central"),
    ]  # fmt: skip


def test_a_tree_is_started_from_its_root_and_tried_out_at_a_leaf() -> None:
    made = plan(Path("/state"), hang(named("paris:", "lyon,brest", "nice")), 9292, never)
    assert [(site.name, site.port, site.upstream) for site in made.sites] == [
        ("central", 9292, None),
        ("paris", 9392, "central"),
        ("lyon", 9492, "paris"),
        ("brest", 9592, "paris"),
        ("nice", 9692, "central"),
    ]
    assert made.leaf.name == "lyon"


@pytest.mark.parametrize(
    "edges", [("Lyon",), ("../lyon",), ("",), ("-lyon",), ("lyon", "lyon"), ("central",), ("a" * 40,)]
)
def test_names_that_cannot_be_folders_or_are_taken_are_refused(edges: tuple[str, ...]) -> None:
    with pytest.raises(InvalidInput):
        lab(*edges)


@pytest.mark.parametrize("port", [-1, 65500, 70000])
def test_ports_that_do_not_exist_are_refused(port: int) -> None:
    with pytest.raises(InvalidInput):
        lab("lyon", port=port)


def test_the_settings_of_a_site_are_such_that_it_starts_with_them(tmp_path: Path) -> None:
    state = tmp_path / 'a "state"'
    state.mkdir()
    written = tmp_path / "skerry.toml"
    made = lab("lyon", state=state)

    written.write_text(made.central.settings(None))
    central = load(written, {})
    assert (central.site.name, central.listen, central.data) == (
        "central",
        ("127.0.0.1", 9292),
        state / "central",
    )
    assert central.upstream.url == ""

    written.write_text(made.edges[0].settings(4711))
    edge = load(written, {})
    assert (edge.site.name, edge.listen, edge.data) == ("lyon", ("127.0.0.1", 9392), state / "lyon")
    assert edge.upstream.url == "http://127.0.0.1:4711"
