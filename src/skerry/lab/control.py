"""Orders to a running lab: one JSON line each way over a unix socket in its state folder."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from skerry.core.errors import Conflict, InvalidInput, NotFound, SkerryError
from skerry.core.units import Rate
from skerry.lab.link import Link
from skerry.lab.shape import Shape

_LINE = 4096
_PATIENCE = 5.0
_SOCKET_PATH = 107


def obey(links: Mapping[str, Link], order: Mapping[str, Any]) -> dict[str, Any]:
    """Carry out `{"link": name, "do": "show|cut|restore|shape", "rate": bits or null, "delay": seconds}`.

    Answers with the state of the link. Raises NotFound, InvalidInput.
    """
    name = order.get("link")
    link = links.get(str(name))
    if link is None:
        raise NotFound(f"The lab has no link to {name}.", hint=f"It has links to {', '.join(links)}.")
    match order.get("do"):
        case "show":
            pass
        case "cut":
            link.cut()
        case "restore":
            link.restore()
        case "shape":
            rate = order.get("rate")
            link.reshape(Shape(None if rate is None else Rate(rate), float(order.get("delay", 0.0))))
        case other:
            raise InvalidInput(f"A link knows no {other!r}.", hint="It knows show, cut, restore and shape.")
    shaped = f" ({link.shape})" if link.shape != Shape() else ""
    return {
        "link": name,
        "state": "cut" if link.is_cut else "up",
        "rate": link.shape.rate,
        "delay": link.shape.delay,
        "said": f"The link to {name} is {'cut' if link.is_cut else 'up'}{shaped}.",
    }


@asynccontextmanager
async def taking_orders(
    path: Path, links: Mapping[str, Link], say: Callable[[str], None]
) -> AsyncIterator[None]:
    """Listen at `path` and obey; `say` is told of each change. Raises Conflict when a lab listens already."""
    _check_length(path)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                order = json.loads(await reader.readline())
            reply = obey(links, order)
            if order["do"] != "show":
                say(reply["said"])
        except SkerryError as error:
            reply = {"error": str(error)}
        except (ValueError, TypeError, AttributeError, TimeoutError):
            reply = {"error": "An order is one line of JSON."}
        writer.write(json.dumps(reply).encode() + b"\n")
        writer.close()

    if await _somebody_listens(path):
        raise Conflict(
            f"A lab is already running in {path.parent}.",
            hint="Stop it, or give this one another: --state DIR",
        )
    server = await asyncio.start_unix_server(answer, path, limit=_LINE)
    try:
        yield
    finally:
        server.close()


async def send(path: Path, order: Mapping[str, Any]) -> dict[str, Any]:
    """Give an order to the lab that listens at `path`. Raises NotFound when none does, InvalidInput."""
    _check_length(path)
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(path, limit=_LINE)
            writer.write(json.dumps(order).encode() + b"\n")
            reply: dict[str, Any] = json.loads(await reader.readline())
            writer.close()
    except (OSError, ValueError):
        raise NotFound(
            f"No lab is running in {path.parent}.", hint="Start one with: skerry lab --edge lyon"
        ) from None
    if "error" in reply:
        raise InvalidInput(reply["error"])
    return reply


async def _somebody_listens(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


def _check_length(path: Path) -> None:
    if len(bytes(path)) > _SOCKET_PATH:
        raise InvalidInput(
            f"The folder {path.parent} has too long a name for a socket.", hint="Use --state DIR."
        )
