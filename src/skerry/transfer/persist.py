"""Going on over a line that breaks."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from skerry.core.errors import TooSlow, UpstreamAway, UpstreamFailed
from skerry.upstream.link import NO_ANSWER, Link

log = logging.getLogger(__name__)

_FRUITLESS = 5
"""How often in a row upstream may answer without sending a byte."""

_HELD_UP = 2.0
"""Seconds until an upstream that has said that it is cut off itself is asked again."""


async def persist(
    image_id: str,
    link: Link,
    attempt: Callable[[], Awaitable[bool]],
    *,
    progress: Callable[[], int],
    held_up: Callable[[UpstreamAway], None],
) -> None:
    """Make attempts until one says that all is there; `progress` counts bytes that have come.

    A line that is cut is waited for, and so is that of an upstream that is cut off itself (`held_up` hears of
    it), unless nothing has come yet; an upstream that answers and sends nothing is given up. Raises
    UpstreamFailed, UpstreamAway, and what the attempts raise.
    """
    fruitless = 0
    while True:
        await link.wait_connected()
        await asyncio.sleep(2.0 ** (fruitless - 3) if fruitless else 0)
        before = progress()
        try:
            if await attempt():
                return
            trouble = "nothing more came"
        except (*NO_ANSWER, TooSlow) as error:
            trouble = str(error) or repr(error)
            await link.ask()
        except UpstreamAway as error:
            if not progress():
                raise
            held_up(error)
            await asyncio.sleep(_HELD_UP)
            continue
        except UpstreamFailed as error:
            if 300 <= error.status < 500:
                raise
            trouble = str(error)
        log.warning("image %s: broke off after %d bytes: %s", image_id, progress(), trouble)
        if progress() > before:
            fruitless = 0
        elif link.connected:
            fruitless += 1
        if fruitless == _FRUITLESS:
            raise UpstreamFailed(f"The upstream site does not send the image: {trouble}.", image=image_id)
