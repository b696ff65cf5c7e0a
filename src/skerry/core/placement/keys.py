"""The keys of a placement in a document: which field each one is, how it is read, how it is shown."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skerry.core.image import Visibility
from skerry.core.placement.rule import Mode
from skerry.core.placement.window import Window
from skerry.core.units import Duration, Size

ALL = "all"
"""What stands for a selector without conditions."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST = 100 * 365 * 86400
_LARGEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `read` raises ValueError; `show` undoes it; `example` is YAML that can be read."""

    field: str
    read: Callable[[Any], Any]
    example: str
    show: Callable[[Any], Any] = lambda value: value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 255 or "\0" in value:
        raise ValueError(f"expected a text of 1 to 255 characters, got {value!r:.100}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, list) and value:
        return tuple(map(_text, value))
    return (_text(value),)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"expected letters, digits, dots, dashes and underscores, got {value!r:.100}")
    return value


def _properties(value: Any) -> tuple[tuple[str, str | None], ...]:
    pairs = [text.partition("=") for text in _texts(value)]
    if not all(name for name, _, _ in pairs):
        raise ValueError(f"expected NAME or NAME=VALUE, got {value!r:.100}")
    return tuple((name, wanted if equals else None) for name, equals, wanted in pairs)


def _labels(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = [text.partition("=") for text in _texts(value)]
    if not all(key and equals for key, equals, _ in pairs):
        raise ValueError(f"expected KEY=VALUE, got {value!r:.100}")
    return tuple((key, wanted) for key, _, wanted in pairs)


def _one_of(kind: type[Mode] | type[Visibility], value: Any) -> Any:
    try:
        return kind(value)
    except ValueError:
        words = ", ".join(kind)
        raise ValueError(f"expected one of {words}, got {value!r:.100}") from None


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, got {value!r:.100}")
    return value


def _number(value: Any, least: int = -1_000_000, most: int = 1_000_000) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"expected a number from {least} to {most}, got {value!r:.100}")
    return value


def _size(value: Any) -> int:
    size = int(Size.parse(value))  # what is reported of it later has to be a plain number
    if size > _LARGEST:
        raise ValueError(f"{value!r:.100} is more than there can be")
    return size


def _rate(value: Any) -> int:
    rate = _size(value)
    if not rate:
        raise ValueError("a rate of 0 brings nothing")
    return rate


def _duration(value: Any) -> float:
    duration = float(Duration.parse(value))
    if duration > _LONGEST:
        raise ValueError(f"{value!r:.100} is more than a hundred years")
    return duration


def _window(value: Any) -> Window:
    return Window.parse(_text(value))


def _few(shown: tuple[Any, ...]) -> Any:
    """One without a list."""
    return shown[0] if len(shown) == 1 else list(shown)


def _pairs(pairs: tuple[tuple[str, str | None], ...]) -> Any:
    return _few(tuple(name if value is None else f"{name}={value}" for name, value in pairs))


def _seconds(duration: float) -> int | float:
    return int(duration) if duration == int(duration) else float(duration)


IMAGES: Mapping[str, Key] = {
    "name": Key("names", _texts, "debian-*", _few),
    "tag": Key("tags", _texts, "golden", _few),
    "property": Key("properties", _properties, "os_distro=debian", _pairs),
    "owner": Key("owners", _texts, "f2f5a0f0d8d04ac4b3a6b0d4a40c0b43", _few),
    "visibility": Key(
        "visibilities",
        lambda value: tuple(_one_of(Visibility, text) for text in _texts(value)),
        "public",
        lambda found: _few(tuple(one.value for one in found)),
    ),
    "size_min": Key("size_min", _size, "1MiB", int),
    "size_max": Key("size_max", _size, "20GiB", int),
    "age_min": Key("age_min", _duration, "1h", _seconds),
    "age_max": Key("age_max", _duration, "90d", _seconds),
    "newest": Key("newest", lambda value: _number(value, 1), "2"),
    "family": Key("family", _texts, "[os_distro, os_version]", _few),
}

SITES: Mapping[str, Key] = {
    "name": Key("names", _texts, "lyon-*", _few),
    "label": Key("labels", _labels, "tier=far", _pairs),
    "wished": Key("wished", _flag, "true"),
}

PLACEMENT: Mapping[str, Key] = {
    "name": Key("name", _name, "far-edges"),
    "images": Key("images", lambda value: value, "all"),
    "sites": Key("sites", lambda value: value, "all"),
    "mode": Key("mode", lambda value: _one_of(Mode, value), "mirror", str),
    "pinned": Key("pinned", _flag, "true"),
    "store": Key("store", _text, "fast"),
    "priority": Key("priority", _number, "10"),
    "window": Key("window", _window, "22:00-06:00 +02:00", str),
    "rate": Key("rate", _rate, "2MiB", int),
    "keep": Key("keep", _duration, "7d", _seconds),
}
