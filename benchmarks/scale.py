"""How much is measured."""

from dataclasses import dataclass

GIB = 1 << 30


@dataclass(frozen=True)
class Scale:
    """Rounds of each figure, bytes of the image, images in the catalogue, seconds of each turn of wrk."""

    rounds: int
    size: int
    images: int
    seconds: int

    @property
    def gib(self) -> float:
        """The size of the image in GiB."""
        return self.size / GIB

    @property
    def image(self) -> str:
        """The image in words."""
        return f"{self.size >> 20} MiB" if self.size % GIB else f"{self.size // GIB} GiB"


FULL = Scale(rounds=5, size=GIB, images=1000, seconds=6)
QUICK = Scale(rounds=2, size=GIB // 8, images=100, seconds=2)
