"""The images: each new version is to be brought to where the old one is held."""

import hashlib
import random
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from peers.install import program
from peers.process import run

VERSIONS = ("v1", "v2re", "v2up")
QCOW2 = {"qcow2": (), "zlib.qcow2": ("-c",), "zstd.qcow2": ("-c", "-o", "compression_type=zstd")}
FORMATS = ("raw", *QCOW2)
BLOCK = 4096


@dataclass
class Pairs:
    """A folder with each version (`v1`, `v2re` built anew, `v2up` upgraded in place) in each format."""

    folder: Path
    _digests: dict[Path, str] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """The file of `VERSION.FORMAT`."""
        return self.folder / name

    def size(self, name: str) -> int:
        """Its bytes."""
        return self.path(name).stat().st_size

    def is_same(self, name: str, file: Path) -> bool:
        """Whether a file is that image, byte for byte."""
        return self._digest(self.path(name)) == self._digest(file, keep=False)

    def _digest(self, path: Path, *, keep: bool = True) -> str:
        if keep and path in self._digests:
            return self._digests[path]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha512").hexdigest()
        if keep:
            self._digests[path] = digest
        return digest


def real(folder: Path) -> Pairs:
    """Real Debian systems of 2000 MiB; made by the script `build` when they are not there."""
    if not all((folder / f"{version}.{form}").exists() for version in VERSIONS for form in FORMATS):
        subprocess.run([Path(__file__).with_name("build"), folder], check=True)
    return Pairs(folder)


def small(folder: Path) -> Pairs:
    """Disks of 64 MiB with made-up files on them: to see that all of it works, for no figure."""
    folder.mkdir(parents=True, exist_ok=True)
    dice = random.Random(1)
    files = [dice.randbytes(dice.randrange(2000, 100_000)).hex().encode() for _ in range(400)]
    changed = [data[:500] + b"new" + data[503:] if dice.random() < 0.1 else data for data in files]
    _disk(folder / "v1.raw", files)
    _disk(folder / "v2up.raw", changed)
    dice.shuffle(changed)
    _disk(folder / "v2re.raw", changed)
    for version in VERSIONS:
        for form, options in QCOW2.items():
            raw, made = folder / f"{version}.raw", folder / f"{version}.{form}"
            run(program("qemu-img"), "convert", "-f", "raw", "-O", "qcow2", *options, raw, made)
    return Pairs(folder)


def _disk(path: Path, files: list[bytes]) -> None:
    with path.open("wb") as disk:
        disk.truncate(64 << 20)
        for data in files:
            disk.seek(-(-disk.tell() // BLOCK) * BLOCK)
            disk.write(data)
