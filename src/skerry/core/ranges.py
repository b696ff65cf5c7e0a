"""Which bytes of an image a request asks for.

Source: RFC 9110, section 14; Glance, which takes `Content-Range` in requests too.
"""

import re

from skerry.core.errors import InvalidInput, RangeNotSatisfiable

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*\Z", re.IGNORECASE)
_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(?:\d+|\*)\s*\Z", re.IGNORECASE)


def requested(header: str | None, size: int, *, content_range: str | None = None) -> tuple[int, int] | None:
    """(offset, count) of what `Range: header` names in an image of `size` bytes; None for the whole.

    `bytes=0-99`, `bytes=100-` and `bytes=-100` are served, cut to the image. Raises RangeNotSatisfiable for
    a range outside it and for what is no range of bytes, InvalidInput for several ranges.
    """
    if header is not None and "," in header:
        raise InvalidInput(
            "Several ranges in one request are not supported.", hint="Make a request for each."
        )
    if header is not None:
        match = _RANGE.match(header.strip())
        if not match or match[1] == match[2] == "":
            raise RangeNotSatisfiable(f"{header!r} is not one range of bytes.", size=size)
        if match[1]:
            first = int(match[1])
            last = min(int(match[2]), size - 1) if match[2] else size - 1
        else:
            first, last = max(0, size - int(match[2])), size - 1
    elif content_range is not None:
        match = _CONTENT_RANGE.match(content_range.strip())
        if not match:
            raise RangeNotSatisfiable(f"{content_range!r} is not a range of bytes.", size=size)
        first, last = int(match[1]), int(match[2])
        if last >= size:
            raise RangeNotSatisfiable(
                f"{content_range!r} goes beyond the {size} bytes of the image.", size=size
            )
    else:
        return None
    if first > last:
        raise RangeNotSatisfiable(
            f"{header or content_range!r} lies outside the {size} bytes of the image.", size=size
        )
    return first, last - first + 1
