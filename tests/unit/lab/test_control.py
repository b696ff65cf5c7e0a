"""Orders to a running lab."""

import asyncio
import json
from pathlib import Path

import pytest

from skerry.core.errors import Conflict, InvalidInput, NotFound
from skerry.core.units import Rate
from skerry.lab.control import obey, send, taking_orders
from skerry.lab.link import Link
from skerry.lab.shape import Shape


def links() -> dict[str, Link]:
    return {"lyon": Link(("127.0.0.1", 1)), "brest": Link(("127.0.0.1", 1))}


def test_an_order_changes_its_link_and_no_other() -> None:
    two = links()
    assert obey(two, {"link": "lyon", "do": "cut"})["state"] == "cut"
    assert (two["lyon"].is_cut, two["brest"].is_cut) == (True, False)
    assert obey(two, {"link": "lyon", "do": "restore"})["state"] == "up"
    assert not two["lyon"].is_cut


def test_a_link_is_shaped_and_set_free_again() -> None:
    two = links()
    answer = obey(two, {"link": "lyon", "do": "shape", "rate": 20_000_000, "delay": 0.05})
    assert two["lyon"].shape == Shape(Rate.parse("20Mbit"), 0.05)
    assert answer["said"] == "The link to lyon is up (20 Mbit/s, 50 ms each way)."
    assert two["brest"].shape == Shape()
    obey(two, {"link": "lyon", "do": "shape", "rate": None})
    assert two["lyon"].shape == Shape()


def test_an_unknown_link_or_order_is_refused_with_those_that_exist() -> None:
    with pytest.raises(NotFound, match="lyon, brest"):
        obey(links(), {"link": "paris", "do": "cut"})
    with pytest.raises(InvalidInput, match="show, cut, restore and shape"):
        obey(links(), {"link": "lyon", "do": "explode"})


async def test_orders_come_through_the_socket_and_the_lab_says_what_changed(tmp_path: Path) -> None:
    two, said = links(), list[str]()
    path = tmp_path / "lab.sock"
    async with taking_orders(path, two, said.append):
        assert (await send(path, {"link": "brest", "do": "cut"}))["state"] == "cut"
        assert two["brest"].is_cut
        await send(path, {"link": "brest", "do": "show"})
        with pytest.raises(InvalidInput, match="no link to paris"):
            await send(path, {"link": "paris", "do": "cut"})
    assert said == ["The link to brest is cut."]


async def test_a_second_lab_does_not_start_in_the_folder_of_a_running_one(tmp_path: Path) -> None:
    path = tmp_path / "lab.sock"
    async with taking_orders(path, links(), print):
        with pytest.raises(Conflict, match="already running"):
            async with taking_orders(path, links(), print):
                pass
        assert (await send(path, {"link": "lyon", "do": "show"}))["state"] == "up"


async def test_a_lab_starts_over_the_socket_of_one_that_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "lab.sock"
    async with taking_orders(path, links(), print):
        pass
    with pytest.raises(NotFound, match="No lab is running"):
        await send(path, {"link": "lyon", "do": "show"})
    async with taking_orders(path, links(), print):
        assert (await send(path, {"link": "lyon", "do": "show"}))["state"] == "up"


async def test_nonsense_on_the_socket_is_answered_and_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lab.sock"
    async with taking_orders(path, links(), print):
        for nonsense in (b"\n", b"[]\n", b"x" * 9000 + b"\n", b'{"link":"lyon","do":"shape","rate":[]}\n'):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(nonsense)
            assert "error" in json.loads(await reader.readline())
            writer.close()
        assert (await send(path, {"link": "lyon", "do": "show"}))["state"] == "up"


async def test_a_folder_with_too_long_a_name_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="too long"):
        await send(tmp_path / ("d" * 100) / "lab.sock", {"link": "lyon", "do": "show"})
