"""Why an image is at a site or not, and what happens next: facts in the order in which one asks for them."""

from dataclasses import dataclass
from enum import StrEnum

from skerry.core.image import Image
from skerry.core.placement.actions import Action
from skerry.core.placement.desire import Desire
from skerry.core.placement.knowledge import Knowledge, Report
from skerry.core.placement.observed import Observed, PinnedBy
from skerry.core.placement.plan import Blocked
from skerry.core.placement.planner import Planner
from skerry.core.placement.sites import Site
from skerry.core.placement.verdicts import verdicts


class Topic(StrEnum):
    """What a fact is about."""

    IMAGE = "image"
    RULE = "rule"
    DESIRE = "desire"
    PIN = "pin"
    STORE = "store"
    SYNC = "sync"
    HEALTH = "health"
    CONTACT = "contact"
    SOURCE = "source"
    EVICTED = "evicted"
    NEXT = "next"


@dataclass(frozen=True, slots=True)
class Fact:
    """One sentence. `at` is the moment it tells of, if it tells of one."""

    topic: Topic
    says: str
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Evicted:
    """The last copy that was here and went: when, and why."""

    at: float
    reason: str


def explain(
    planner: Planner,
    image: Image,
    site: Site,
    report: Report | None,
    knowledge: Knowledge,
    *,
    source: str = "",
    evicted: Evicted | None = None,
) -> tuple[Fact, ...]:
    """Why an image is at a site or not, from what the site said (`report`) and what can be said of that.

    `source` is where its bytes come from, "" when that is not known.
    """
    copy, step = (report.copy, report.step) if report else (None, None)
    desire = planner.desire(image.id, site.name)
    size = "of unknown size" if image.size is None else f"{image.size} bytes"
    words = f"{image.name or image.id} is {image.status}, {size}"
    facts = [Fact(Topic.IMAGE, words, image.created_at.timestamp())]
    if image.has_data:
        facts += [Fact(Topic.RULE, str(verdict)) for verdict in verdicts(planner, image, site)]
    facts += [Fact(Topic.DESIRE, _desire(desire)), Fact(Topic.PIN, _pin(copy, desire))]
    if copy is not None and desire is not None and (copy.store or desire.store):
        facts.append(Fact(Topic.STORE, _store(copy, desire)))
    for topic, axis in (
        (Topic.SYNC, knowledge.sync),
        (Topic.HEALTH, knowledge.health),
        (Topic.CONTACT, knowledge.contact),
    ):
        facts.append(Fact(topic, f"{axis.value}: {axis.reason}", axis.since))
    if source:
        facts.append(Fact(Topic.SOURCE, f"its bytes come from {source}"))
    if evicted is not None:
        facts.append(Fact(Topic.EVICTED, evicted.reason, evicted.at))
    return (*facts, _next(step, copy, desire))


def _desire(desire: Desire | None) -> str:
    if desire is None:
        return "it has no data, so that no placement counts"
    who = f"by {desire.rule}" if desire.rule else "since no placement selects it"
    withdrawn = "; it is deactivated, so that it is not fetched" if desire.withdrawn else ""
    return f"{desire.mode}, {who}{', as the image asks for' if desire.wished else ''}{withdrawn}"


def _pin(copy: Observed | None, desire: Desire | None) -> str:
    if copy is not None and copy.pinned_by is PinnedBy.PERSON:
        return "pinned by a person"
    if copy is not None and copy.pinned_by is PinnedBy.RULE:
        return "pinned by a placement"
    if desire is not None and desire.pinned:
        return f"{desire.rule} pins it once it is there"
    return "not pinned"


def _store(copy: Observed, desire: Desire) -> str:
    there = f"it is in the store {copy.store}" if copy.store else "it is in the default store"
    if desire.store in ("", copy.store):
        return there
    return f"{there}; {desire.rule} has it in {desire.store}, if the site has a store of that name"


def _next(step: Action | Blocked | None, copy: Observed | None, desire: Desire | None) -> Fact:
    if isinstance(step, Blocked):
        return Fact(Topic.NEXT, f"nothing: {step.reason}. {step.remedy}")
    if step is not None:
        moment = getattr(step, "not_before", None)
        return Fact(Topic.NEXT, f"{type(step).__name__.lower()}: {step.reason}", moment)
    if copy is not None and copy.cached and desire is not None and not desire.is_mirror:
        if copy.drop_at is not None:
            return Fact(Topic.NEXT, "dropped when it has been kept for long enough", copy.drop_at)
        return Fact(Topic.NEXT, "it stays until its room is needed")
    return Fact(Topic.NEXT, "nothing")
