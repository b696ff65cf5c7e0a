"""Placements as a plain document, as YAML or JSON hold it: `{placements: [{name: …, images: …}, …]}`.

Reading is strict. Each error names the placement, the key, and what to write instead.
The keys are in `keys`; docs/placements.md has them for operators.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from skerry.core.errors import InvalidInput
from skerry.core.placement.images import ImageSelector
from skerry.core.placement.keys import ALL, IMAGES, PLACEMENT, SITES, Key
from skerry.core.placement.rule import Mode, Placement
from skerry.core.placement.sites import SiteSelector
from skerry.core.spelling import nearest


def parse(document: Any) -> tuple[Placement, ...]:
    """The placements of a document, in its order. Raises InvalidInput."""
    if not isinstance(document, dict) or "placements" not in document:
        raise InvalidInput("The document has no placements.", hint="Write placements: and a list below it.")
    for key in document:
        if key != "placements":
            raise InvalidInput(
                f"The document has an unknown key {key!r}.", hint=nearest(str(key), ["placements"])
            )
    entries = document["placements"]
    if not isinstance(entries, list):
        raise InvalidInput(
            "placements: expected a list.", hint='Write each one below it, as in "- name: far-edges".'
        )
    found: dict[str, Placement] = {}
    for number, entry in enumerate(entries, 1):
        placement = parse_one(entry, f"placement {number}")
        if placement.name in found:
            raise InvalidInput(
                f'placement "{placement.name}": name: there are two of this name.',
                hint="Give one of them another name.",
            )
        found[placement.name] = placement
    return tuple(found.values())


def parse_one(entry: Any, place: str = "the placement") -> Placement:
    """One placement. `place` is what to call it in an error when it has no name. Raises InvalidInput."""
    if not isinstance(entry, dict):
        raise InvalidInput(f"{place}: expected keys and values.", hint="Write name, images, sites and mode.")
    if isinstance(entry.get("name"), str):
        place = f'placement "{entry["name"]:.64}"'
    for name in ("name", "images", "sites", "mode"):
        if name not in entry:
            raise InvalidInput(f"{place}: {name} is missing.", hint=_write(name, PLACEMENT[name]))
    values = _read(entry, PLACEMENT, place, "")
    placement = Placement(
        **{
            **values,
            "images": ImageSelector(**_selector(entry["images"], IMAGES, place, "images")),
            "sites": SiteSelector(**_selector(entry["sites"], SITES, place, "sites")),
        }
    )
    _check(placement, place)
    return placement


def dump(placements: Iterable[Placement]) -> dict[str, Any]:
    """The document of placements; `parse` undoes it."""
    return {"placements": [dump_one(placement) for placement in placements]}


def dump_one(placement: Placement) -> dict[str, Any]:
    """One placement, without the keys that have their defaults."""
    return {
        "name": placement.name,
        "images": _shown(placement.images, ImageSelector(), IMAGES) or ALL,
        "sites": _shown(placement.sites, SiteSelector(), SITES) or ALL,
        "mode": placement.mode.value,
        **_shown(placement, Placement("", ImageSelector(), SiteSelector(), placement.mode), _OPTIONAL),
    }


_OPTIONAL = {name: key for name, key in PLACEMENT.items() if name not in ("name", "images", "sites", "mode")}


def _shown(value: object, default: object, keys: Mapping[str, Key]) -> dict[str, Any]:
    return {
        name: key.show(getattr(value, key.field))
        for name, key in keys.items()
        if getattr(value, key.field) != getattr(default, key.field)
    }


def _selector(value: Any, keys: Mapping[str, Key], place: str, name: str) -> dict[str, Any]:
    if value == ALL:
        return {}
    if not isinstance(value, dict) or not value:
        raise InvalidInput(
            f"{place}: {name}: expected conditions, or {ALL}.",
            hint=f"Write {name}: {ALL}, or below it one or more of {', '.join(keys)}.",
        )
    return _read(value, keys, place, f"{name}.")


def _read(entry: Mapping[Any, Any], keys: Mapping[str, Key], place: str, prefix: str) -> dict[str, Any]:
    values = {}
    for name, value in entry.items():
        key = keys.get(name) if isinstance(name, str) else None
        if key is None:
            raise InvalidInput(
                f"{place}: there is no key {prefix}{name}.",
                hint=nearest(str(name), keys.keys(), prefix + "{}"),
            )
        try:
            values[key.field] = key.read(value)
        except (ValueError, OverflowError) as error:
            raise InvalidInput(f"{place}: {prefix}{name}: {error}.", hint=_write(name, key)) from None
    return values


def _write(name: str, key: Key) -> str:
    return f"Write for example {name}: {key.example}"


def _check(placement: Placement, place: str) -> None:
    """Refuse keys that are each right and make no sense together."""

    def refuse(key: str, what: str, remedy: str) -> InvalidInput:
        return InvalidInput(f"{place}: {key}: {what}.", hint=remedy)

    images = placement.images
    if images.size_min is not None and images.size_max is not None and images.size_min > images.size_max:
        raise refuse("images.size_min", "is larger than size_max", "Write the smaller one as size_min.")
    if images.age_min is not None and images.age_max is not None and images.age_min >= images.age_max:
        raise refuse("images.age_min", "is not less than age_max", "Write the shorter one as age_min.")
    if images.newest is None and images.family != ImageSelector().family:
        raise refuse("images.family", "means nothing without newest", "Write newest: 2, or drop family.")
    for name in ("window", "rate", "keep"):
        if placement.mode is not Mode.MIRROR and getattr(placement, name) is not None:
            raise refuse(name, "is for what is mirrored", f"Write mode: mirror, or drop {name}.")
    if placement.mode is Mode.NEVER and placement.pinned:
        raise refuse("pinned", "cannot be where there is to be no copy", "Drop pinned, or change mode.")
    if placement.mode is Mode.NEVER and placement.store:
        raise refuse("store", "means nothing where there is to be no copy", "Drop store, or change mode.")
