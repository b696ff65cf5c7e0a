"""docs/placements.md says what the document of placements does."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from skerry.core.placement.document import parse
from skerry.core.placement.keys import IMAGES, PLACEMENT, SITES, Key

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "placements.md").read_text()
SECTIONS: Mapping[str, Mapping[str, Key]] = {"A placement": PLACEMENT, "images": IMAGES, "sites": SITES}


def rows(section: str) -> dict[str, str]:
    """The keys in the table of a section, each with its example."""
    _, _, after = PAGE.partition(f"\n## {section}\n")
    table = after.partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| `(.*?)` \| \S", table, re.MULTILINE))


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_on_the_page_with_its_example_and_no_other_is(section: str) -> None:
    assert rows(section) == {name: key.example for name, key in SECTIONS[section].items()}


@pytest.mark.parametrize(
    ("section", "name"), [(section, name) for section, keys in SECTIONS.items() for name in keys]
)
def test_the_examples_can_be_read(section: str, name: str) -> None:
    entry = {"name": "a", "images": "all", "sites": "all", "mode": "mirror"}
    given = {name: yaml.safe_load(SECTIONS[section][name].example)}
    if name == "family":
        given["newest"] = 1
    parse({"placements": [entry | (given if section == "A placement" else {section: given})]})


def test_the_placements_on_the_page_are_good_ones() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert [len(parse(yaml.safe_load(example))) for example in examples] == [1]


def test_the_example_files_are_on_the_page() -> None:
    files = [path.name for path in sorted((ROOT / "examples" / "placements").glob("*.yaml"))]
    assert re.findall(r"^\| `([\w-]+\.yaml)` \|", PAGE, re.MULTILINE) == files
