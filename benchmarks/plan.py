"""`python -m benchmarks.plan`: what ought to be for 100,000 images at 1,000 sites under 20 placements.

A full plan is everything from the rules to what each site has to do: which placements select which images,
and for each of the sites, one after the other, the comparison with its copies (nine tenths of what ought to
be there, and some that are there on demand). A changed image is taken from its record to the names of the
sites which it concerns. Beside it: looking at each
pair of image and site, measured on a sample and scaled up to all of them.

Seconds are those of the processor: nothing here waits, and it uses one core. Each round is a process of its
own, whose highest resident memory counts. Writes `results/plan.json`.
"""

import argparse
import multiprocessing
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from benchmarks import cloud, report
from benchmarks.machine import facts, watched
from benchmarks.processes import highest_resident
from benchmarks.row import Row, alone, compare, under
from skerry.core.image import Image
from skerry.core.placement.desire import Desire
from skerry.core.placement.observed import Capacity, Held, Observed, PinnedBy
from skerry.core.placement.planner import Planner
from skerry.core.placement.reconcile import reconcile
from skerry.core.placement.sites import Site
from skerry.core.placement.verdicts import verdicts

ROUNDS = 3
CHANGES = 1000
SAMPLE = 2000
"""Pairs that are looked at one by one."""
ROOM = Capacity(limit=1 << 50)


@dataclass(frozen=True)
class Round:
    """Seconds, and bytes / 10^6; of changes p99 in ms, of plans of one site median and p99 in ms."""

    desires: float
    plan: float
    pairs: float
    memory: float
    change: float
    replan: tuple[float, float]
    mirrored: int
    actions: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, to see that all of it works")
    size = cloud.QUICK if parser.parse_args().quick else cloud.FULL
    measured = facts(peers=False)
    rounds: list[Round] = []
    with watched(measured), multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for number in range(ROUNDS):
            print(f"Round {number + 1} of {ROUNDS} ...", file=sys.stderr, flush=True)
            rounds.append(pool.apply(measure, (size,)))
    measured |= {
        "images": size.images,
        "sites": size.sites,
        "placements": len(cloud.placements()),
        "copies_that_ought_to_be": rounds[0].mirrored,
        "actions": rounds[0].actions,
        "plan_of_one_site_ms": dict(zip(("median", "p99"), rounds[0].replan, strict=True)),
    }
    rows = _rows(rounds)
    print(report.table(rows))
    print(f"{rounds[0].mirrored:,} copies ought to be; the plans have {rounds[0].actions:,} actions.")
    median, most = rounds[0].replan
    print(f"The plan of one site takes {median:.1f} ms, and {most:.0f} ms where most copies are (p99).")
    print(f"Other programs used {measured['others']:.0%} of the processors meanwhile.")
    if size is cloud.FULL:
        print(f"Written to {report.write('plan', measured, rows)}")


def measure(size: cloud.Size) -> Round:
    """One round."""
    images, sites, placements = cloud.images(size), cloud.sites(size), cloud.placements()
    began = time.process_time()
    planner = Planner(placements, sites, images, cloud.NOW)
    mirrored = sum(planner.mirrored(site.name).images for site in sites)
    desires = time.process_time() - began
    plan, actions = desires, 0
    for site in sites:
        copies = observed(planner, site, images)
        began = time.process_time()
        found = reconcile(
            site, planner.wanted(site.name, [c.image_id for c in copies]), copies, ROOM, cloud.NOW
        )
        plan += time.process_time() - began
        actions += len(found.actions)
    pairs = pair_by_pair(planner, images, sites) * len(images) * len(sites)
    change, replan = changes(planner, size, images)
    return Round(desires, plan, pairs, highest_resident(), change, replan, mirrored, actions)


def observed(planner: Planner, site: Site, images: Sequence[Image]) -> list[Observed]:
    """What might be at a site: most of what ought to be, and fifty copies on demand."""
    dice = random.Random(site.name)
    copies = [
        Observed(
            image_id,
            Held.BAD if dice.random() < 0.001 else Held.COMPLETE,
            want.size,
            mirrored_by=want.desire.rule,
            keep=want.desire.keep,
            pinned_by=PinnedBy.RULE if want.desire.pinned else None,
        )
        for image_id, want in planner.wanted(site.name, ()).items()
        if dice.random() < 0.9
    ]
    here = {copy.image_id for copy in copies}
    others = (dice.choice(images) for _ in range(50))
    more = {image.id: image for image in others if image.id not in here}
    return copies + [Observed(image.id, Held.COMPLETE, image.size or 0) for image in more.values()]


def pair_by_pair(planner: Planner, images: Sequence[Image], sites: Sequence[Site]) -> float:
    """Seconds for one pair when each is looked at by itself (with families looked up, not made)."""
    dice = random.Random(4)
    pairs = [(dice.choice(images), dice.choice(sites)) for _ in range(SAMPLE)]
    began = time.process_time()
    for image, site in pairs:
        first = next((v.placement for v in verdicts(planner, image, site) if v.rank == 1), None)
        Desire.by(first, withdrawn=False)
    return (time.process_time() - began) / SAMPLE


def changes(planner: Planner, size: cloud.Size, images: list[Image]) -> tuple[float, tuple[float, float]]:
    """Milliseconds: p99 of a change up to its sites; median and p99 of the plan of one site after it."""
    first, second = [], []
    for image in cloud.changes(size, images, CHANGES):
        began = time.process_time()
        concerned = planner.concerned(planner.update(image))
        first.append((time.process_time() - began) * 1000)
        site = planner.site(min(concerned)) if concerned else planner.sites[int(UUID(image.id)) % size.sites]
        copies = observed(planner, site, images)
        began = time.process_time()
        reconcile(site, planner.wanted(site.name, [c.image_id for c in copies]), copies, ROOM, cloud.NOW)
        second.append((time.process_time() - began) * 1000)
    return _percentile(first, 99), (_percentile(second, 50), _percentile(second, 99))


def _rows(rounds: Sequence[Round]) -> list[Row]:
    return [
        compare(
            "full plan: what each site has to do",
            "s",
            [one.plan for one in rounds],
            "looking at each pair (scaled up)",
            [one.pairs for one in rounds],
            under(30, "s"),
        ),
        alone("of these: what ought to be", "s", [one.desires for one in rounds], under(30, "s")),
        alone("memory of a full plan", "MB", [one.memory for one in rounds], under(1000, "MB")),
        alone("one changed image, all sites, p99", "ms", [one.change for one in rounds], under(50, "ms")),
    ]


def _percentile(values: list[float], percent: int) -> float:
    return round(sorted(values)[len(values) * percent // 100], 3)


if __name__ == "__main__":
    main()
