"""What the figures share: the images, a centre of Skerry, a stock Glance, and what each journey has cost."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from benchmarks.clients import WrongAnswerError, curl
from benchmarks.clients.service import Service
from benchmarks.wan import glance, sites
from benchmarks.wan.line import OPEN, Line, shape
from benchmarks.wan.pairs import Pairs
from benchmarks.wan.sites import Site
from benchmarks.wan.trip import Trip, trip
from peers.install import HOME
from peers.nginx import Nginx
from peers.process import PeerError, eventually
from skerry.lab.shape import Shape

PROBE = 8 << 20
PROBED = 15.0
"""Seconds in which a centre that makes indexes has that of a small image."""


@dataclass(frozen=True)
class Lines:
    """`thin` is the line between centre and edge; `wide` the one between a region and its sites."""

    thin: Shape
    wide: Shape


FULL = Lines(thin=shape(20, 50), wide=shape(100, 5))
QUICK = Lines(thin=shape(100, 5), wide=shape(400, 1))


@dataclass
class Stage:
    """Programs start when a figure first asks for them, and end with `stack`."""

    pairs: Pairs
    folder: Path
    lines: Lines
    stack: contextlib.ExitStack
    _images: dict[Path, str] = field(default_factory=dict)
    _trips: dict[tuple[str, ...], Trip] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @cached_property
    def centre(self) -> Site:
        """The centre of all sites."""
        return self.stack.enter_context(sites.centre(self.folder / "centre"))

    @cached_property
    def glance(self) -> tuple[Service, Line]:
        """A stock Glance at an edge, and the line to its store at the centre, where the images are."""
        store = self.stack.enter_context(Nginx(self.folder / "nginx", self.pairs.folder))
        line = self.stack.enter_context(Line(store.port))
        return self.stack.enter_context(glance.running(self.folder / "stock", line)), line

    @cached_property
    def makes_indexes(self) -> bool:
        """Whether this Skerry knows chunks: whether a centre soon has the index of a small image."""
        try:
            eventually(lambda: self.centre.has_index(self._probe), "an index", PROBED)
        except PeerError:
            return False
        return True

    @cached_property
    def sends_chunks(self) -> bool:
        """Whether an edge of this Skerry asks for what it lacks, at least over a thin line."""
        if not self.makes_indexes:
            return False
        with self.edge() as (edge, line):
            line.reshape(self.lines.thin)
            before = line.carried
            self.give(edge, self._probe)
            return line.carried - before < PROBE / 2

    @cached_property
    def _probe(self) -> str:
        """An image that is one chunk, again and again."""
        file = self.folder / "probe"
        file.write_bytes(bytes(range(256)) * (PROBE >> 8))
        return self._uploaded(file, "raw")

    def image(self, name: str) -> str:
        """The id of an image at the centre, with its index made."""
        return self.upload(self.pairs.path(name), "raw" if name.endswith(".raw") else "qcow2")

    def upload(self, file: Path, form: str) -> str:
        """The id of a file as an image at the centre, uploaded when it is first asked for."""
        if file not in self._images:
            makes_indexes = self.makes_indexes  # to be found out before it is busy with a large image
            self._images[file] = image_id = self._uploaded(file, form)
            if makes_indexes:
                self.centre.wait_indexed(image_id)
        return self._images[file]

    @contextlib.contextmanager
    def edge(self, *held: str) -> Iterator[tuple[Site, Line]]:
        """A new edge of the centre that has the images `held`, and its line, open so far."""
        folder = self.folder / f"edge-{next(self._numbers)}"
        image_ids = [self.image(name) for name in held]
        try:
            with (
                Line(self.centre.listens) as line,
                sites.joined(folder, line, self.centre, self.centre) as edge,
            ):
                for image_id in image_ids:
                    self.give(edge, image_id)
                yield edge, line
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def give(self, site: Site, image_id: str) -> None:
        """Have a site bring an image, and wait until it can use it for others."""
        site.wait_known(image_id)
        site.queue(image_id)
        site.wait_whole(image_id)
        if self.makes_indexes:
            site.wait_indexed(image_id)

    def trip(self, held: str, brought: str, shaped: Shape, *, waited_for: bool = False) -> Trip:
        """What `brought` costs at an edge that has `held`, or nothing when that is empty.

        The edge is told to bring it; or a client waits for what comes (`waited_for`).
        Measured once for each line.
        """
        key = (held, brought, str(shaped), str(waited_for))
        if key not in self._trips:
            self._trips[key] = self._measure(held, brought, shaped, waited_for=waited_for)
        return self._trips[key]

    def glance_trip(self, brought: str, shaped: Shape) -> Trip:
        """What the first use costs at the stock Glance, to which it makes no difference what it has."""
        key = ("Glance", brought, str(shaped))
        if key not in self._trips:
            service, line = self.glance
            line.reshape(shaped)
            self._trips[key] = glance.bring(service, line, self.pairs, brought)
        return self._trips[key]

    @property
    def for_bytes(self) -> Shape:
        """The line for figures of bytes alone. Whole files are the same on any, and take long on the thin."""
        return self.lines.thin if self.sends_chunks else OPEN

    def check(self, edge: Site, image_id: str, name: str) -> None:
        """Raise WrongAnswerError unless the edge has the image `name`, byte for byte."""
        if not self.pairs.is_same(name, edge.file(image_id)):
            raise WrongAnswerError(f"{edge.name}: what it has is not {name}")

    def _measure(self, held: str, brought: str, shaped: Shape, *, waited_for: bool) -> Trip:
        image_id = self.image(brought)
        with self.edge(*filter(None, [held])) as (edge, line):
            edge.wait_known(image_id)
            line.reshape(shaped)

            def bring() -> None:
                if waited_for:
                    curl.download([edge.service.file(image_id)], (), self.pairs.size(brought))
                else:
                    edge.queue(image_id)
                edge.wait_whole(image_id)

            cost = trip(line, bring)
            self.check(edge, image_id, brought)
        return cost

    def _uploaded(self, file: Path, form: str) -> str:
        service = self.centre.service
        image_id = service.create(disk_format=form)
        curl.upload([service.file(image_id)], service.headers, file)
        return image_id


@contextlib.contextmanager
def running(pairs: Pairs, lines: Lines) -> Iterator[Stage]:
    """A stage; afterwards everything is stopped and what it kept is removed."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-wan-", dir=HOME, ignore_cleanup_errors=True) as folder,
        contextlib.ExitStack() as stack,
    ):
        yield Stage(pairs, Path(folder), lines, stack)
