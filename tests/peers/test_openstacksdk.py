"""openstacksdk, as Nova, Ironic and scripts use it: at a stock Glance, at a central site, and at an edge."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from uuid import uuid4

from peers.keystone import ALT_DEMO, DEMO
from peers.nginx import Nginx
from peers.place import Place


def test_an_image_is_uploaded_once_and_found_again_by_its_digest(place: Place, small_qcow2: Path) -> None:
    content = small_qcow2.read_bytes()

    found = place.client(DEMO).sdk(
        """
        options = dict(filename=given["path"], disk_format="qcow2", container_format="bare",
                       wait=True, validate_checksum=True)
        first = image.create_image(given["name"], **options)
        again = image.create_image(given["name"], **options)
        result = {"ids": [first.id, again.id], "record": image.get_image(first.id).to_dict(computed=False)}
        """,
        path=small_qcow2,
        name=f"digest-{uuid4()}",
    )

    first, again = found["ids"]
    assert first == again
    assert found["record"]["status"] == "active"
    assert found["record"]["size"] == len(content)
    assert found["record"]["hash_value"] == hashlib.sha512(content).hexdigest()


def test_a_download_is_streamed_and_verified(place: Place, small_qcow2: Path, tmp_path: Path) -> None:
    place.client(DEMO).sdk(
        """
        options = dict(disk_format="qcow2", container_format="bare", wait=True)
        made = image.create_image("stream", filename=given["path"], **options)
        image.download_image(made, output=given["whole"])
        with open(given["streamed"], "wb") as file:
            for chunk in image.download_image(made, stream=True).iter_content(64 << 10):
                file.write(chunk)
        result = None
        """,
        path=small_qcow2,
        whole=tmp_path / "whole",
        streamed=tmp_path / "streamed",
    )

    assert (tmp_path / "whole").read_bytes() == small_qcow2.read_bytes()
    assert (tmp_path / "streamed").read_bytes() == small_qcow2.read_bytes()


def test_a_long_list_comes_in_pages_and_none_is_lost(place: Place) -> None:
    listed = place.client(DEMO).sdk(
        """
        options = dict(disk_format="raw", container_format="bare", tags=[given["tag"]])
        made = [image.create_image(f"page-{n}", **options).name for n in range(5)]
        pages = image.images(limit=2, sort_key="name", sort_dir="asc", tag=given["tag"])
        result = [made, [found.name for found in pages]]
        """,
        tag=uuid4().hex,
    )

    made, found = listed
    assert found == made


def test_properties_and_tags_are_updated_and_removed(place: Place) -> None:
    states = place.client(DEMO).sdk(
        """
        def state():
            record = image.get_image(made.id)
            return {"name": record.name, "tags": sorted(record.tags), "bus": record.hw_disk_bus,
                    "own": dict(record.properties or {}).get("own")}

        made = image.create_image("before", disk_format="raw", container_format="bare",
                                  hw_disk_bus="scsi", own="kept")
        states = [state()]
        image.update_image(image.get_image(made.id), name="after", own="changed")
        image.add_tag(made, "one")
        image.add_tag(made, "two words")
        states.append(state())
        image.remove_tag(made, "one")
        states.append(state())
        result = states
        """
    )

    assert states == [
        {"name": "before", "tags": [], "bus": "scsi", "own": "kept"},
        {"name": "after", "tags": ["one", "two words"], "bus": "scsi", "own": "changed"},
        {"name": "after", "tags": ["two words"], "bus": "scsi", "own": "changed"},
    ]


def test_a_member_accepts_and_rejects(place: Place) -> None:
    project = place.keystone.project_id("alt_demo")
    made = place.client(DEMO).sdk(
        """
        made = image.create_image("member", disk_format="raw", container_format="bare", visibility="shared")
        member = image.add_member(made, member_id=given["project"])
        result = {"id": made.id, "status": member.status}
        """,
        project=project,
    )
    statuses = place.client(ALT_DEMO).sdk(
        """
        def listed():
            return given["id"] in [found.id for found in image.images()]

        result = [listed()]
        for status in ("accepted", "rejected"):
            image.update_member(given["project"], given["id"], status=status)
            result.append([image.get_member(given["project"], given["id"]).status, listed()])
        """,
        project=project,
        id=made["id"],
    )

    assert made["status"] == "pending"
    assert statuses == [False, ["accepted", True], ["rejected", False]]


def test_an_image_is_imported_from_the_web_in_one_call(place: Place, web: Nginx, small_qcow2: Path) -> None:
    name = f"{uuid4()}.qcow2"
    shutil.copy(small_qcow2, web.served / name)

    record = place.client(DEMO).sdk(
        """
        made = image.create_image(given["name"], disk_format="qcow2", container_format="bare")
        image.import_image(made, method="web-download", uri=given["url"])
        result = image.wait_for_status(made, "active", interval=0.2).to_dict(computed=False)
        """,
        name=name,
        url=web.url(name),
    )

    assert record["hash_value"] == hashlib.sha512(small_qcow2.read_bytes()).hexdigest()


def test_errors_are_the_ones_that_programs_catch(place: Place) -> None:
    caught = place.client(DEMO).sdk(
        """
        def what(call):
            try:
                call()
            except openstack.exceptions.SDKException as error:
                return [type(error).__name__, getattr(error, "status_code", None)]

        made = image.create_image("conflict", disk_format="raw", container_format="bare")
        guarded = image.create_image("guarded", disk_format="raw", container_format="bare", is_protected=True)
        result = {
            "missing": what(lambda: image.get_image(given["missing"])),
            "same id": what(lambda: image.create_image(
                "again", id=made.id, disk_format="raw", container_format="bare")),
            "protected": what(lambda: image.delete_image(guarded, ignore_missing=False)),
            "no such format": what(lambda: image.create_image(
                "bad", disk_format="floppy", container_format="bare")),
        }
        """,
        missing=uuid4(),
    )

    assert caught == {
        "missing": ["NotFoundException", 404],
        "same id": ["ConflictException", 409],
        "protected": ["ForbiddenException", 403],
        "no such format": ["BadRequestException", 400],
    }


def test_schemas_say_what_an_image_is(place: Place) -> None:
    known = place.client(DEMO).sdk("""
        result = {
            "image": sorted(image.get_image_schema().properties),
            "images": sorted(image.get_images_schema().properties),
            "member": sorted(image.get_member_schema().properties),
            "members": sorted(image.get_members_schema().properties),
        }
    """)

    assert {"id", "name", "status", "os_hash_value", "os_hidden", "visibility"} <= set(known["image"])
    assert known["images"] == ["first", "images", "next", "schema"]
    assert known["member"] == ["created_at", "image_id", "member_id", "schema", "status", "updated_at"]
    assert known["members"] == ["members", "schema"]
