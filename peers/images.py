"""Real disk images: one that boots, from an ordinary Debian package, and one made of Debian with qemu-img."""

from __future__ import annotations

import shutil
from pathlib import Path

from peers.install import HOME, program, unpacked
from peers.process import run


def bootable_iso() -> Path:
    """GRUB's rescue CD (5 MB, boots on a BIOS from CD or USB) from Debian's grub-rescue-pc."""
    return unpacked("grub-rescue-pc") / "usr/lib/grub-rescue/grub-rescue-cdrom.iso"


def debian_qcow2() -> Path:
    """A minimal Debian root on ext4 in a qcow2 (about 180 MB); made once, without loop devices."""
    image = HOME / "images" / "debian-minbase.qcow2"
    if not image.exists():
        work = image.with_suffix(".partial")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        root, raw, qcow2 = work / "root", work / "root.raw", work / "root.qcow2"
        run(program("mmdebstrap"), "--quiet", "--variant=minbase", "bookworm", root)
        with raw.open("wb") as file:
            file.truncate(512 << 20)
        run(program("mkfs.ext4"), "-q", "-d", root, raw)
        run(program("qemu-img"), "convert", "-f", "raw", "-O", "qcow2", raw, qcow2)
        qcow2.rename(image)
        shutil.rmtree(work)
    return image


def check_qcow2(image: Path) -> None:
    """`qemu-img check`; raises `PeerError` with its report when the image is not sound."""
    run(program("qemu-img"), "check", "-f", "qcow2", image)
