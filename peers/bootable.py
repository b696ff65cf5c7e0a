"""A disk that boots: GRUB, Debian's kernel, and an init of its own that says so on the serial line.

No file system is on it, and nothing needs root: GRUB has the kernel and the initramfs by their sectors.
"""

from __future__ import annotations

import gzip
import hashlib
import random
import struct
from dataclasses import dataclass
from pathlib import Path

from peers.install import program, unpacked
from peers.process import run

MARKER = "skerry-booted"

SECTOR = 512
_FIRST = 2048
"""The sector behind GRUB."""

_TABLE = 446
_BEFORE_END, _FAR = 2048, 64
"""Where, in sectors before the end of the disk, the guest reads, and how many sectors."""

_KERNEL = "linux-image-cloud-amd64"
_MODULES = (
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
)

_INIT = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for module in {modules}; do /bin/busybox insmod /$module.ko; done
until [ -b /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t proc none /proc
echo "{marker} $(/bin/busybox cat /proc/uptime)"
far=$(/bin/busybox dd if=/dev/vda bs=512 skip={far} count={count} 2>/dev/null | /bin/busybox sha256sum)
echo "skerry-far $far"
/bin/busybox poweroff -f
"""


@dataclass(frozen=True)
class Disk:
    """A raw disk whose first `system` bytes are all that a boot reads."""

    path: Path
    system: int
    far: str
    """SHA-256 of what the guest reads near the end, and prints."""


def make_disk(path: Path, size: int) -> Disk:
    """Write a disk of `size` bytes; behind what boots there is noise, which no packing makes smaller."""
    modules = unpacked(_KERNEL)
    (kernel,) = modules.glob("boot/vmlinuz-*")
    initramfs = gzip.compress(_initramfs(modules, size // SECTOR - _BEFORE_END), 6, mtime=0)
    system = [_padded(kernel.read_bytes()), _padded(initramfs)]
    start = _grub(path.with_suffix(".core"), [len(part) // SECTOR for part in system])
    noise = random.Random(5)
    with path.open("wb") as file:
        file.write(start[:_TABLE] + _one_partition(size) + start[SECTOR:])
        file.seek(_FIRST * SECTOR)
        for part in system:
            file.write(part)
        end = file.tell()
        for at in range(end, size, 1 << 20):
            file.write(noise.randbytes(min(1 << 20, size - at)))
    with path.open("rb") as file:
        file.seek(size - _BEFORE_END * SECTOR)
        far = hashlib.sha256(file.read(_FAR * SECTOR)).hexdigest()
    return Disk(path, end, far)


def _grub(scratch: Path, sectors: list[int]) -> bytes:
    """The first sectors of the disk, for a BIOS."""
    modules = unpacked("grub-pc-bin") / "usr/lib/grub/i386-pc"
    kernel, initramfs = sectors
    config = scratch.with_suffix(".cfg")
    config.write_text(
        f"linux (hd0){_FIRST}+{kernel} console=ttyS0 panic=-1\n"
        f"initrd (hd0){_FIRST + kernel}+{initramfs}\n"
        "boot\n"
    )
    run(
        program("grub-mkimage"), "-O", "i386-pc", "-d", modules, "-c", config, "-p", "(hd0)", "-o", scratch,
        "biosdisk", "linux", "boot",
    )  # fmt: skip
    return (modules / "boot.img").read_bytes() + scratch.read_bytes()


def _one_partition(size: int) -> bytes:
    """The end of the first sector: a table of partitions (type 83) that has one, of all that follows GRUB."""
    entry = struct.pack("<B3sB3sII", 0x80, b"\xff" * 3, 0x83, b"\xff" * 3, _FIRST, size // SECTOR - _FIRST)
    return entry + bytes(3 * len(entry)) + b"\x55\xaa"


def _initramfs(modules: Path, far: int) -> bytes:
    """An archive in cpio's "newc" format (the kernel's Documentation/driver-api/early-userspace)."""
    init = _INIT.format(modules=" ".join(_MODULES), marker=MARKER, far=far, count=_FAR)
    archive = bytearray()
    for name in ("bin", "dev", "proc"):
        archive += _entry(name, 0o040755, b"")
    archive += _entry("dev/console", 0o020600, b"", device=(5, 1))
    archive += _entry("bin/busybox", 0o100755, (unpacked("busybox-static") / "bin/busybox").read_bytes())
    for name in _MODULES:
        (file,) = modules.glob(f"lib/modules/*/kernel/drivers/**/{name}.ko")
        archive += _entry(f"{name}.ko", 0o100644, file.read_bytes())
    archive += _entry("init", 0o100755, init.encode())
    return bytes(archive + _entry("TRAILER!!!", 0, b""))


def _entry(name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> bytes:
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % SECTOR)
