"""Image API v2 as JSON schemas: clients build their models and command line options from these.

Source: Image API v2 reference, "Schemas". The words are the reference's; what a value may be is decided in
`core.attributes`, and a test holds the two together.
"""

from typing import Any

from aiohttp import web

from skerry.api.bodies import json_answer
from skerry.api.context import Site
from skerry.config import FormatsSection
from skerry.core.caller import Caller
from skerry.core.errors import NotFound
from skerry.core.image import MemberStatus, Visibility

Schema = dict[str, Any]

_UUID = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"
_STATUSES = [
    "queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete",
    "deactivated",
]  # fmt: skip
_LINKS = {"self": "{self}", "enclosure": "{file}", "describedby": "{schema}"}
_PAGE_LINKS = {"first": "{first}", "next": "{next}", "describedby": "{schema}"}


async def show(request: web.Request, site: Site, caller: Caller) -> web.Response:
    """GET /v2/schemas/{name}."""
    make = _SCHEMAS.get(request.match_info["name"])
    if make is None:
        raise NotFound("There is no such schema.")
    return json_answer(make(site.config.formats))


def image(formats: FormatsSection) -> Schema:
    """One image. Other properties than these are texts."""
    return {
        "name": "image",
        "properties": _image_properties(formats),
        "additionalProperties": _text(),
        "links": _links(_LINKS),
    }


def images(formats: FormatsSection) -> Schema:
    """A page of images."""
    return {
        "name": "images",
        "properties": {
            "images": {"type": "array", "items": image(formats)},
            "first": _text(),
            "next": _text(),
            "schema": _text(),
        },
        "links": _links(_PAGE_LINKS),
    }


def member(formats: FormatsSection) -> Schema:
    """One member of an image."""
    return {
        "name": "member",
        "properties": {
            "member_id": _text("An identifier for the image member (tenantId)"),
            "image_id": _text("An identifier for the image", pattern=_UUID),
            "created_at": _text("Date and time of image member creation"),
            "updated_at": _text("Date and time of last modification of image member"),
            "status": _text(
                "The status of this image member", enum=[status.value for status in MemberStatus]
            ),
            "schema": _text(readOnly=True),
        },
    }


def members(formats: FormatsSection) -> Schema:
    """The members of an image."""
    return _plain_collection("members", member(formats))


def task(formats: FormatsSection) -> Schema:
    """One task: an import, and what has become of it."""
    return {
        "name": "task",
        "properties": {
            "id": _text("An identifier for the task", pattern=_UUID),
            "type": _text(
                "The type of task represented by this content",
                enum=["import", "api_image_import", "location_import"],
            ),
            "status": _text(
                "The current status of this task", enum=["pending", "processing", "success", "failure"]
            ),
            "input": {
                "type": ["null", "object"],
                "description": "The parameters required by task, JSON blob",
            },
            "result": {"type": ["null", "object"], "description": "The result of current task, JSON blob"},
            "owner": _text("An identifier for the owner of this task"),
            "message": _text("Human-readable informative message only included when appropriate"),
            "image_id": _text("Image associated with the task"),
            "request_id": _text("Human-readable informative request-id"),
            "user_id": _text("User associated with the task"),
            "expires_at": _text_or_null("Datetime when this resource would be subject to removal"),
            "created_at": _text("Datetime when this resource was created"),
            "updated_at": _text("Datetime when this resource was updated"),
            "self": _text(readOnly=True),
            "schema": _text(readOnly=True),
        },
    }


def tasks(formats: FormatsSection) -> Schema:
    """Several tasks, without their details."""
    one = task(formats)
    for name in ("input", "result", "message"):
        del one["properties"][name]
    return _plain_collection("tasks", one)


_SCHEMAS = {each.__name__: each for each in (image, images, member, members, task, tasks)}


def _image_properties(formats: FormatsSection) -> dict[str, Schema]:
    return {
        "id": _text("An identifier for the image", pattern=_UUID),
        "name": _text_or_null("Descriptive name for the image", maxLength=255),
        "status": _text("Status of the image", readOnly=True, enum=_STATUSES),
        "visibility": _text(
            "Scope of image accessibility", enum=sorted(visibility.value for visibility in Visibility)
        ),
        "protected": {"type": "boolean", "description": "If true, image will not be deletable."},
        "os_hidden": {
            "type": "boolean",
            "description": "If true, image will not appear in default image list response.",
        },
        "checksum": _text_or_null("md5 hash of image contents.", readOnly=True, maxLength=32),
        "os_hash_algo": _text_or_null(
            "Algorithm to calculate the os_hash_value", readOnly=True, maxLength=64
        ),
        "os_hash_value": _text_or_null(
            "Hexdigest of the image contents using the algorithm specified by the os_hash_algo",
            readOnly=True,
            maxLength=128,
        ),
        "owner": _text_or_null("Owner of the image", maxLength=255),
        "size": _number_or_null("Size of image file in bytes"),
        "virtual_size": _number_or_null("Virtual size of image in bytes"),
        "container_format": _text_or_null("Format of the container", enum=[None, *formats.container]),
        "disk_format": _text_or_null("Format of the disk", enum=[None, *formats.disk]),
        "created_at": _text("Date and time of image registration", readOnly=True),
        "updated_at": _text("Date and time of the last image modification", readOnly=True),
        "tags": {
            "type": "array",
            "description": "List of strings related to the image",
            "items": {"type": "string", "maxLength": 255},
        },
        "direct_url": _text("URL to access the image file kept in external store", readOnly=True),
        "min_ram": {"type": "integer", "description": "Amount of ram (in MB) required to boot image."},
        "min_disk": {
            "type": "integer",
            "description": "Amount of disk space (in GB) required to boot image.",
        },
        "self": _text("An image self url", readOnly=True),
        "file": _text("An image file url", readOnly=True),
        "stores": _text("Store in which image data resides.", readOnly=True),
        "schema": _text("An image schema url", readOnly=True),
        "locations": {
            "type": "array",
            "description": "A set of URLs to access the image file kept in external store",
            "items": {
                "type": "object",
                "properties": {"url": _text(maxLength=255), "metadata": {"type": "object"}},
                "required": ["url", "metadata"],
            },
        },
    }


def _plain_collection(name: str, item: Schema) -> Schema:
    return {
        "name": name,
        "properties": {name: {"type": "array", "items": item}, "schema": _text()},
        "links": _links({"describedby": "{schema}"}),
    }


def _links(links: dict[str, str]) -> list[Schema]:
    return [{"rel": relation, "href": href} for relation, href in links.items()]


def _text(description: str = "", **more: Any) -> Schema:
    return {"type": "string", **({"description": description} if description else {}), **more}


def _text_or_null(description: str, **more: Any) -> Schema:
    return {"type": ["null", "string"], "description": description, **more}


def _number_or_null(description: str) -> Schema:
    return {"type": ["null", "integer"], "readOnly": True, "description": description}
