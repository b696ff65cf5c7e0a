"""docs/configuration.md says what config.py does."""

import re
import tomllib
from pathlib import Path
from typing import get_type_hints

import pytest

from skerry.config import Config, load

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
SECTIONS = get_type_hints(Config)
KEYS = [(section, key) for section, kind in SECTIONS.items() for key in kind.__struct_fields__]


def rows(section: str) -> dict[str, str]:
    """The keys in the table of a section, with what is given as their defaults."""
    _, _, after = PAGE.partition(f"\n## [{section}]\n")
    table = after.partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \| \S", table, re.MULTILINE))


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_every_key_is_on_the_page_with_its_default(section: str, key: str, tmp_path: Path) -> None:
    shown = rows(section)[key]
    file = tmp_path / "skerry.toml"
    file.write_text(f"[{section}]\n{key} = {shown}\n")
    assert load(file, environ={}) == Config()


def test_the_page_has_no_section_and_no_key_that_does_not_exist() -> None:
    sections = re.findall(r"^## \[(\w+)\]$", PAGE, re.MULTILINE)
    assert sections == list(SECTIONS)
    assert [(section, key) for section in sections for key in rows(section)] == KEYS


EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_on_the_page_are_good_configurations(example: str, tmp_path: Path) -> None:
    assert tomllib.loads(example)
    file = tmp_path / "skerry.toml"
    file.write_text(example)
    load(file, environ={})


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 3
