"""Records over HTTP: create, show, patch, delete, and who may."""

from typing import Any
from uuid import uuid4

import pytest
from jsonschema import Draft4Validator

from tests.functional.people import V2_1, Peopled


async def test_a_created_image_is_shown_with_its_place_and_links(site: Peopled) -> None:
    answer = await site.alice.send("POST", "/v2/images", {"name": "one", "os_distro": "debian"})
    image = answer.json
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v2/images/{image['id']}"
    assert answer.headers["OpenStack-image-import-methods"] == "glance-direct,web-download"
    assert image["file"] == f"/v2/images/{image['id']}/file"
    assert (image["owner"], image["status"], image["visibility"]) == ("alice", "queued", "shared")
    assert (image["os_distro"], image["size"], image["tags"]) == ("debian", None, [])
    shown = await site.alice.get(f"/v2/images/{image['id']}")
    assert (shown.status, shown.json) == (200, image)


async def test_a_given_id_is_kept_and_never_given_twice(site: Peopled) -> None:
    given = str(uuid4())
    assert (await site.alice.create(id=given))["id"] == given
    assert (await site.bob.send("POST", "/v2/images", {"id": given})).status == 409
    assert (await site.alice.send("DELETE", f"/v2/images/{given}")).status == 204
    assert (await site.alice.send("POST", "/v2/images", {"id": given})).status == 409


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"status": "active"}, 403),
        ({"os_glance_x": "y"}, 403),
        ({"owner": "bob"}, 403),
        ({"visibility": "public"}, 403),
        ({"visibility": "nobody"}, 400),
        ({"id": "../../etc"}, 400),
        ({"tags": [str(n) for n in range(129)]}, 413),
        ({str(n): "x" for n in range(129)}, 413),
        ([], 400),
    ],
)
async def test_what_nobody_may_create_is_refused(site: Peopled, document: Any, status: int) -> None:
    assert (await site.alice.send("POST", "/v2/images", document)).status == status


@pytest.mark.parametrize("body", [b"", b"{", b'"text"', b"[" * 100_000, b'{"name": "\xff"}'])
async def test_a_body_that_is_no_document_is_refused(site: Peopled, body: bytes) -> None:
    assert (await site.alice.send("POST", "/v2/images", data=body)).status == 400


async def test_a_body_over_the_limit_is_refused(site: Peopled) -> None:
    assert (await site.alice.send("POST", "/v2/images", {"name": "x" * (1 << 20)})).status == 413


async def test_a_body_is_not_expected_with_get(site: Peopled) -> None:
    assert (await site.alice.get("/v2/images", data=b"{}")).status == 400


async def test_a_patch_changes_the_record_and_its_time(site: Peopled) -> None:
    image = await site.alice.create(name="old", os_distro="debian")
    answer = await site.alice.patch(
        image["id"],
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/tags", "value": ["b", "a"]},
        {"op": "remove", "path": "/os_distro"},
    )
    assert answer.status == 200
    assert (answer.json["name"], answer.json["tags"]) == ("new", ["a", "b"])
    assert "os_distro" not in answer.json
    assert (await site.alice.get(f"/v2/images/{image['id']}")).json == answer.json


async def test_a_patch_that_fails_changes_nothing(site: Peopled) -> None:
    image = await site.alice.create(name="old")
    answer = await site.alice.patch(
        image["id"],
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "remove", "path": "/nothing"},
    )
    assert answer.status == 409
    assert (await site.alice.get(f"/v2/images/{image['id']}")).json == image


async def test_a_patch_in_another_media_type_is_refused(site: Peopled) -> None:
    image = await site.alice.create()
    answer = await site.alice.send("PATCH", f"/v2/images/{image['id']}", [])
    assert answer.status == 415
    assert V2_1["Content-Type"] in answer.headers["Accept-Patch"]


async def test_an_image_of_another_project_is_not_there(site: Peopled) -> None:
    image = await site.alice.create(visibility="private")
    path = f"/v2/images/{image['id']}"
    assert (await site.bob.get(path)).status == 404
    assert (await site.bob.patch(image["id"], {"op": "add", "path": "/x", "value": "y"})).status == 404
    assert (await site.bob.send("DELETE", path)).status == 404
    assert (await site.admin.get(path)).status == 200


async def test_a_community_image_is_seen_by_all_and_changed_by_its_owner(site: Peopled) -> None:
    image = await site.alice.create(visibility="community")
    path = f"/v2/images/{image['id']}"
    assert (await site.bob.get(path)).status == 200
    assert (await site.bob.patch(image["id"], {"op": "add", "path": "/x", "value": "y"})).status == 403
    assert (await site.bob.send("DELETE", path)).status == 403


async def test_only_an_administrator_makes_an_image_public(site: Peopled) -> None:
    image = await site.alice.create()
    change = {"op": "replace", "path": "/visibility", "value": "public"}
    assert (await site.alice.patch(image["id"], change)).status == 403
    assert (await site.admin.patch(image["id"], change)).json["visibility"] == "public"


async def test_a_protected_image_is_deleted_only_once_it_is_not(site: Peopled) -> None:
    image = await site.alice.create(protected=True)
    path = f"/v2/images/{image['id']}"
    assert (await site.alice.send("DELETE", path)).status == 403
    await site.alice.patch(image["id"], {"op": "replace", "path": "/protected", "value": False})
    assert (await site.alice.send("DELETE", path)).status == 204
    assert (await site.alice.get(path)).status == 404
    assert (await site.alice.send("DELETE", path)).status == 404


async def test_an_image_without_bytes_is_not_deactivated(site: Peopled) -> None:
    image = await site.alice.create()
    for action in ("deactivate", "reactivate"):
        answer = await site.alice.send("POST", f"/v2/images/{image['id']}/actions/{action}")
        assert answer.status == 403


async def test_tags_come_and_go(site: Peopled) -> None:
    image = await site.alice.create(tags=["a"])
    path = f"/v2/images/{image['id']}"
    assert (await site.alice.send("PUT", f"{path}/tags/b%20c")).status == 204
    assert (await site.alice.send("DELETE", f"{path}/tags/a")).status == 204
    assert (await site.alice.send("DELETE", f"{path}/tags/a")).status == 404
    assert (await site.alice.send("PUT", f"{path}/tags/{'x' * 256}")).status == 400
    assert (await site.alice.get(path)).json["tags"] == ["b c"]


async def test_a_body_that_is_not_expected_is_refused_and_changes_nothing(site: Peopled) -> None:
    image = await site.alice.create()
    path = f"/v2/images/{image['id']}"
    for method, where in (("PUT", "/tags/a"), ("POST", "/actions/deactivate"), ("DELETE", "")):
        answer = await site.admin.send(method, path + where, {"a": "body"})
        assert (answer.status, b"A body is not expected" in answer.body) == (400, True)
    assert (await site.alice.get(path)).json == image


async def test_answers_are_valid_by_the_schemas_that_the_site_serves(site: Peopled) -> None:
    image = await site.alice.create(name="one", tags=["a"], os_distro="debian", disk_format="raw")
    await site.alice.send("POST", f"/v2/images/{image['id']}/members", {"member": "bob"})
    for schema, path in (
        ("image", f"/v2/images/{image['id']}"),
        ("images", "/v2/images"),
        ("member", f"/v2/images/{image['id']}/members/bob"),
        ("members", f"/v2/images/{image['id']}/members"),
    ):
        document = (await site.alice.get(path)).json
        rules = (await site.alice.get(f"/v2/schemas/{schema}")).json
        Draft4Validator.check_schema(rules)
        Draft4Validator(rules).validate(document)
        assert set(document) <= set(rules["properties"]) | {"os_distro"}
