"""Import of images and the tasks that do it. Source: Image API v2 reference, "Interoperable image import"."""

from typing import Any

from aiohttp import web

from skerry.api.access import seen
from skerry.api.bodies import json_answer, read_json
from skerry.api.context import Site
from skerry.api.image.images import home
from skerry.core.caller import Caller
from skerry.core.errors import InvalidInput
from skerry.core.wire import time_to_wire
from skerry.transfer.imports import WEB, Task


async def start(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """POST /v2/images/{image_id}/import."""
    image_id = request.match_info["image_id"]
    method, uri = _method(await read_json(request, site), site)
    await seen(site, caller, image_id, "modify_image")
    await home(site).imports.start(image_id, method, uri, owner=caller.project_id, user_id=caller.user_id)
    return web.Response(status=202)


async def tasks(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/images/{image_id}/tasks: those of the caller's project."""
    image_id = request.match_info["image_id"]
    await seen(site, caller, image_id)
    found = home(site).imports.tasks(image_id)
    shown = [_to_wire(task) for task in found if caller.is_admin or task.owner == caller.project_id]
    return json_answer({"tasks": shown})


def _method(document: Any, site: Site) -> tuple[str, str | None]:
    method = document.get("method") if isinstance(document, dict) else None
    if not isinstance(method, dict):
        raise InvalidInput("Import request requires a 'method' field.")
    name, uri = method.get("name"), method.get("uri")
    if name is None:
        raise InvalidInput("Import request requires a 'name' field.")
    if name not in site.config.imports.methods:
        raise InvalidInput(f"Unknown import method name '{name}'.")
    if name == WEB and not isinstance(uri, str):
        raise InvalidInput(f"URI for web-download does not pass filtering: {uri}")
    for key in ("all_stores", "all_stores_must_succeed"):
        if not isinstance(document.get(key, False), bool):
            raise InvalidInput(f"'{key}' must be boolean value only")
    return name, uri if name == WEB else None


def _to_wire(task: Task) -> dict[str, Any]:
    method = {"name": task.method} | ({"uri": task.uri} if task.uri else {})
    return {
        "id": task.id,
        "type": "api_image_import",
        "status": task.status.value,
        "owner": task.owner,
        "user_id": task.user_id,
        "image_id": task.image_id,
        "input": {"image_id": task.image_id, "import_req": {"method": method}},
        "result": None,
        "message": task.message,
        "created_at": time_to_wire(task.created_at),
        "updated_at": time_to_wire(task.updated_at),
        "expires_at": time_to_wire(task.expires_at) if task.expires_at else None,
        "deleted": False,
        "deleted_at": None,
    }
