"""`openstack image …`, as people type it: at a stock Glance, at a central site, and at an edge."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from uuid import uuid4

from peers.keystone import ADMIN, ALT_DEMO, DEMO, DEMO_READER
from peers.nginx import Nginx
from peers.place import Place

QCOW2 = ("--disk-format", "qcow2", "--container-format", "bare")


def named(what: str) -> str:
    return f"{what}-{uuid4().hex[:8]}"


def names(listed: list[dict[str, str]]) -> list[str]:
    return [image["Name"] for image in listed]


def test_an_image_is_created_from_a_file_shown_listed_saved_and_deleted(
    place: Place, small_qcow2: Path, tmp_path: Path
) -> None:
    demo, name, content = place.client(DEMO), named("disk"), small_qcow2.read_bytes()

    created = demo.json("image", "create", *QCOW2, "--min-disk", "1", "--file", small_qcow2, name)
    shown = demo.json("image", "show", name)
    demo.run("image", "save", "--file", tmp_path / "saved", name)

    assert created["status"] == shown["status"] == "active"
    assert shown["size"] == len(content)
    assert shown["min_disk"] == 1
    assert shown["visibility"] == "shared"
    assert shown["checksum"] == hashlib.md5(content).hexdigest()
    assert shown["properties"]["os_hash_algo"] == "sha512"
    assert shown["properties"]["os_hash_value"] == hashlib.sha512(content).hexdigest()
    assert shown["owner"] == place.keystone.project_id("demo")
    assert (tmp_path / "saved").read_bytes() == content
    assert name in names(demo.json("image", "list"))

    demo.run("image", "delete", name)

    assert "No Image found" in demo.refusal("image", "show", name)
    assert name not in names(demo.json("image", "list"))


def test_a_list_is_narrowed_and_sorted(place: Place) -> None:
    demo, family = place.client(DEMO), named("family")
    wanted = ["--property", f"family={family}"]
    for name, tag in (("b", "odd"), ("a", "even"), ("c", "odd")):
        place.create(DEMO, name=f"{family}-{name}", family=family, tags=[tag])

    def listed(*words: str) -> list[str]:
        return [name[-1] for name in names(demo.json("image", "list", *wanted, *words))]

    assert listed("--sort", "name:desc") == ["c", "b", "a"]
    assert listed("--sort", "name:asc", "--tag", "odd") == ["b", "c"]
    assert listed("--name", f"{family}-a") == ["a"]
    assert listed("--status", "active") == []
    assert listed("--status", "queued", "--sort", "name:asc") == ["a", "b", "c"]
    assert listed("--public") == []
    assert listed("--shared", "--sort", "name:asc") == ["a", "b", "c"]


def test_properties_tags_and_fields_are_set_and_unset(place: Place) -> None:
    demo, name = place.client(DEMO), named("changed")
    demo.run("image", "create", *QCOW2, "--property", "hw_disk_bus=scsi", "--tag", "old", name)

    demo.run("image", "set", "--property", "os_distro=debian", "--tag", "new", "--min-ram", "512", name)
    changed = demo.json("image", "show", name)
    demo.run("image", "unset", "--property", "hw_disk_bus", "--tag", "old", name)
    after = demo.json("image", "show", name)

    assert changed["properties"]["hw_disk_bus"] == "scsi"
    assert changed["properties"]["os_distro"] == after["properties"]["os_distro"] == "debian"
    assert changed["min_ram"] == after["min_ram"] == 512
    assert sorted(changed["tags"]) == ["new", "old"]
    assert "hw_disk_bus" not in after["properties"]
    assert after["tags"] == ["new"]


def test_a_hidden_image_is_listed_only_when_asked_for(place: Place) -> None:
    demo, name = place.client(DEMO), named("hidden")
    place.create(DEMO, name=name)

    demo.run("image", "set", "--hidden", name)

    assert name not in names(demo.json("image", "list"))
    assert name in names(demo.json("image", "list", "--hidden"))


def test_a_protected_image_is_deleted_only_once_it_is_unprotected(place: Place) -> None:
    demo, name = place.client(DEMO), named("protected")
    demo.run("image", "create", *QCOW2, "--protected", name)

    refused = demo.refusal("image", "delete", name)
    demo.run("image", "set", "--unprotected", name)
    demo.run("image", "delete", name)

    assert "protected" in refused
    assert name not in names(demo.json("image", "list"))


def test_a_deactivated_image_gives_out_no_bytes_until_it_is_activated(
    place: Place, small_qcow2: Path, tmp_path: Path
) -> None:
    admin, demo, name = place.client(ADMIN), place.client(DEMO), named("deactivated")
    image = place.create(DEMO, small_qcow2, name=name)

    admin.run("image", "set", "--deactivate", image)
    refused = place.request(DEMO, "GET", f"/v2/images/{image}/file")
    status = demo.json("image", "show", image)["status"]
    admin.run("image", "set", "--activate", image)
    demo.run("image", "save", "--file", tmp_path / "saved", image)

    assert status == "deactivated"
    assert refused.status == 403
    assert (tmp_path / "saved").read_bytes() == small_qcow2.read_bytes()


def test_staged_data_becomes_an_image_by_glance_direct(
    place: Place, small_qcow2: Path, tmp_path: Path
) -> None:
    demo, name = place.client(DEMO), named("staged")
    place.create(DEMO, name=name)

    demo.run("image", "stage", "--file", small_qcow2, name)
    staged = demo.json("image", "show", name)["status"]
    demo.run("image", "import", "--method", "glance-direct", "--wait", name)
    demo.run("image", "save", "--file", tmp_path / "saved", name)

    assert staged == "uploading"
    assert (tmp_path / "saved").read_bytes() == small_qcow2.read_bytes()


def test_an_image_is_imported_from_the_web(
    place: Place, web: Nginx, small_qcow2: Path, tmp_path: Path
) -> None:
    demo, name = place.client(DEMO), named("web")
    shutil.copy(small_qcow2, web.served / f"{name}.qcow2")
    place.create(DEMO, name=name)

    demo.run("image", "import", "--method", "web-download", "--uri", web.url(f"{name}.qcow2"), "--wait", name)
    demo.run("image", "save", "--file", tmp_path / "saved", name)

    assert (tmp_path / "saved").read_bytes() == small_qcow2.read_bytes()


def test_import_says_which_methods_there_are(place: Place) -> None:
    methods = place.client(DEMO).run("image", "import", "info")

    assert "glance-direct" in methods
    assert "web-download" in methods


def test_an_image_shared_with_a_project_is_in_its_list_once_accepted(
    place: Place, small_qcow2: Path, tmp_path: Path
) -> None:
    demo, alt_demo, name = place.client(DEMO), place.client(ALT_DEMO), named("shared")
    project = place.keystone.project_id("alt_demo")
    image = place.create(DEMO, small_qcow2, name=name)
    before = alt_demo.refusal("image", "show", image)

    demo.run("image", "add", "project", image, project)
    pending = demo.json("image", "member", "list", image)
    unaccepted = names(alt_demo.json("image", "list"))
    offered = names(alt_demo.json("image", "list", "--shared", "--member-status", "pending"))
    alt_demo.run("image", "set", "--accept", image)
    accepted = demo.json("image", "member", "list", image)

    assert "No Image found" in before
    assert [(member["Member ID"], member["Status"]) for member in pending] == [(project, "pending")]
    assert name not in unaccepted
    assert name in offered
    assert [(member["Member ID"], member["Status"]) for member in accepted] == [(project, "accepted")]
    assert name in names(alt_demo.json("image", "list"))
    alt_demo.run("image", "save", "--file", tmp_path / "saved", image)
    assert (tmp_path / "saved").read_bytes() == small_qcow2.read_bytes()

    demo.run("image", "remove", "project", image, project)

    assert name not in names(alt_demo.json("image", "list"))
    assert "No Image found" in alt_demo.refusal("image", "show", image)


def test_visibility_decides_who_finds_an_image(place: Place) -> None:
    admin, alt_demo = place.client(ADMIN), place.client(ALT_DEMO)
    made = {
        visibility: admin.json("image", "create", *QCOW2, f"--{visibility}", named(visibility))
        for visibility in ("public", "community", "private")
    }

    listed = names(alt_demo.json("image", "list"))
    community = names(alt_demo.json("image", "list", "--community"))

    assert made["public"]["name"] in listed
    assert made["community"]["name"] not in listed
    assert made["community"]["name"] in community
    assert alt_demo.json("image", "show", made["community"]["id"])["visibility"] == "community"
    assert "No Image found" in alt_demo.refusal("image", "show", made["private"]["id"])


def test_only_an_administrator_publishes(place: Place) -> None:
    refused = place.client(DEMO).refusal("image", "create", *QCOW2, "--public", named("public"))

    assert "403" in refused


def test_a_reader_sees_its_projects_images_and_neither_downloads_nor_changes_them(
    place: Place, small_qcow2: Path
) -> None:
    reader, name = place.client(DEMO_READER), named("read")
    image = place.create(DEMO, small_qcow2, name=name)

    assert reader.json("image", "show", name)["id"] == image
    assert name in names(reader.json("image", "list"))
    assert place.request(DEMO_READER, "GET", f"/v2/images/{image}/file").status == 403
    assert "403" in reader.refusal("image", "create", *QCOW2, named("refused"))
    assert "403" in reader.refusal("image", "set", "--property", "a=b", name)
    assert "403" in reader.refusal("image", "delete", name)


def test_data_that_is_not_what_it_claims_to_be_is_refused(place: Place, bootable_iso: Path) -> None:
    demo, name = place.client(DEMO), named("liar")

    refused = demo.refusal("image", "create", *QCOW2, "--file", bootable_iso, name)

    assert "415" in refused or "format" in refused
    assert name not in names(demo.json("image", "list", "--status", "active"))
