"""Images that qemu-img wrote, of a real system: the same chunks in any format, which bring them whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from peers import images
from peers.install import program
from peers.process import run
from skerry.chunking.held import Held
from tests.unit.chunking.disks import Images

FORMATS: dict[str, tuple[str, ...]] = {
    "raw": ("-O", "raw"),
    "qcow2": ("-O", "qcow2"),
    "qcow2 of version 2": ("-O", "qcow2", "-o", "compat=0.10"),
    "qcow2 with large clusters": ("-O", "qcow2", "-o", "cluster_size=2M"),
    "qcow2 with small clusters": ("-O", "qcow2", "-o", "cluster_size=4k"),
    "qcow2 with extended L2 entries": ("-O", "qcow2", "-o", "extended_l2=on,cluster_size=128k"),
    "compressed qcow2": ("-O", "qcow2", "-c"),
    "compressed qcow2 of version 2": ("-O", "qcow2", "-c", "-o", "compat=0.10"),
    "qcow2 compressed with zstd": ("-O", "qcow2", "-c", "-o", "compression_type=zstd"),
    "dynamic VHD": ("-O", "vpc"),
    "fixed VHD": ("-O", "vpc", "-o", "subformat=fixed,force_size"),
    "stream optimized VMDK": ("-O", "vmdk", "-o", "subformat=streamOptimized"),
}
SHARING = [
    "qcow2",
    "qcow2 of version 2",
    "qcow2 with large clusters",
    "qcow2 with small clusters",
    "compressed qcow2",
    "compressed qcow2 of version 2",
    "qcow2 compressed with zstd",
    "fixed VHD",
]


class Converted(Images):
    """Disks in all formats; each is converted and indexed once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._known: dict[tuple[Path, str], tuple[Path, Held]] = {}

    def convert(self, disk: Path, form: str) -> tuple[Path, Held]:
        """The file of a raw disk in a format, and what is held then."""
        if (disk, form) not in self._known:
            path = self.folder / f"{disk.stem} as {form}"
            run(program("qemu-img"), "convert", "-f", "raw", *FORMATS[form], disk, path)
            self._known[disk, form] = path, self.hold_file(path)
        return self._known[disk, form]


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Converted]:
    found = Converted(tmp_path_factory.mktemp("chunks"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def system(debian_qcow2: Path, disks: Converted) -> Path:
    """The raw disk of a small system."""
    raw = disks.folder / "system.raw"
    run(program("qemu-img"), "convert", "-O", "raw", debian_qcow2, raw)
    return raw


@pytest.fixture(scope="module")
def newer(system: Path, disks: Converted) -> Path:
    """The disk of another build of it: a new file system with the same files, of which some are new."""
    root, raw = disks.folder / "root", disks.folder / "newer.raw"
    root.mkdir()
    run(program("debugfs"), "-R", f"rdump / {root}", system)
    (root / "etc" / "motd").write_text("A new version.\n" * 1000)
    for path in sorted((root / "usr" / "bin").iterdir())[::10]:
        if path.is_file() and not path.is_symlink():
            path.write_bytes(path.read_bytes()[:-8] + b"modified")
    with raw.open("wb") as file:
        file.truncate(system.stat().st_size)
    run(program("mkfs.ext4"), "-q", "-d", root, raw)
    return raw


@pytest.mark.parametrize("form", FORMATS)
def test_a_real_image_arrives_byte_for_byte(form: str, system: Path, disks: Converted) -> None:
    path, held = disks.convert(system, form)
    data, line = disks.bring(held)
    assert data == path.read_bytes()
    assert line < path.stat().st_size


@pytest.mark.parametrize("form", SHARING)
def test_a_real_image_shares_its_chunks_with_the_raw_disk(form: str, system: Path, disks: Converted) -> None:
    index, raw = disks.convert(system, form)[1].index, disks.convert(system, "raw")[1].index
    own = {row.tobytes() for row in index.ids[index.offset < index.guest_size]}
    assert len(own - {row.tobytes() for row in raw.ids}) <= (form == "fixed VHD")


@pytest.mark.parametrize(
    "form", ["compressed qcow2", "compressed qcow2 of version 2", "qcow2 compressed with zstd"]
)
def test_every_cluster_that_qemu_compressed_here_comes_out_the_same(
    form: str, system: Path, disks: Converted
) -> None:
    recipe = disks.convert(system, form)[1].index.recipe
    assert int(recipe.span[recipe.made].sum()) > 100_000_000
    assert recipe.view_size - system.stat().st_size < 1_000_000


@pytest.mark.parametrize("base", ["raw", "compressed qcow2"])
@pytest.mark.parametrize("form", ["raw", "qcow2", "compressed qcow2", "qcow2 compressed with zstd"])
def test_another_build_costs_what_has_changed_whatever_the_formats(
    base: str, form: str, system: Path, newer: Path, disks: Converted
) -> None:
    path, held = disks.convert(newer, form)
    data, line = disks.bring(held, [disks.convert(system, base)[1]])
    assert data == path.read_bytes()
    if form != "raw":
        arrived = disks.folder / "arrived"
        arrived.write_bytes(data)
        images.check_qcow2(arrived)
    assert line < 6_000_000
