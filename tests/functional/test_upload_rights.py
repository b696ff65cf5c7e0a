"""Who may bring bytes: the owner of an image and an administrator, by every way in."""

import pytest

from tests.functional.people import Peopled

BYTES = {"Content-Type": "application/octet-stream"}
PIECE = {"Content-Type": "application/partial-upload", "Upload-Offset": "0", "Upload-Complete": "?0"}
IMPORT = b'{"method": {"name": "glance-direct"}}'

WAYS = [
    ("PUT", "/v2/images/{}/file", b"x", BYTES),
    ("PUT", "/v2/images/{}/stage", b"x", BYTES),
    ("POST", "/v2/images/{}/import", IMPORT, {"Content-Type": "application/json"}),
    ("HEAD", "/skerry/v1/images/{}/upload", None, {}),
    ("PATCH", "/skerry/v1/images/{}/upload", b"x", PIECE),
    ("DELETE", "/skerry/v1/images/{}/upload", None, {}),
]


@pytest.mark.parametrize(("method", "path", "data", "headers"), WAYS)
@pytest.mark.parametrize(("visibility", "status"), [("private", 404), ("community", 403)])
async def test_another_project_brings_no_bytes(
    site: Peopled,
    method: str,
    path: str,
    data: bytes | None,
    headers: dict[str, str],
    visibility: str,
    status: int,
) -> None:
    image = await site.alice.create(disk_format="raw", container_format="bare", visibility=visibility)
    answer = await site.bob.send(method, path.format(image["id"]), data=data, headers=headers)
    assert answer.status == status
    assert (await site.alice.get(f"/v2/images/{image['id']}")).json["status"] == "queued"


@pytest.mark.parametrize("person", ["alice", "admin"])
async def test_the_owner_and_an_administrator_bring_bytes(site: Peopled, person: str) -> None:
    image = await site.alice.create(disk_format="raw", container_format="bare", visibility="private")
    sender = {"alice": site.alice, "admin": site.admin}[person]
    assert (
        await sender.send("PUT", f"/v2/images/{image['id']}/file", data=b"x", headers=BYTES)
    ).status == 204


async def test_a_member_of_a_shared_image_brings_no_bytes(site: Peopled) -> None:
    image = await site.alice.create(disk_format="raw", container_format="bare", visibility="shared")
    await site.alice.send("POST", f"/v2/images/{image['id']}/members", {"member": "bob"})
    answer = await site.bob.send("PUT", f"/v2/images/{image['id']}/file", data=b"x", headers=BYTES)
    assert answer.status == 403


async def test_the_imports_of_another_project_are_not_shown(site: Peopled) -> None:
    image = await site.alice.create(disk_format="raw", container_format="bare", visibility="community")
    path = f"/v2/images/{image['id']}"
    await site.alice.send("PUT", f"{path}/stage", data=b"x", headers=BYTES)
    assert (
        await site.alice.send("POST", f"{path}/import", {"method": {"name": "glance-direct"}})
    ).status == 202
    assert len((await site.alice.get(f"{path}/tasks")).json["tasks"]) == 1
    assert (await site.bob.get(f"{path}/tasks")).json["tasks"] == []
