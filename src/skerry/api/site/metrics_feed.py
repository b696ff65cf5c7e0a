"""How records travel to and from this site, as numbers."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from skerry.api.context import Feed
from skerry.api.site.metrics_families import gauge
from skerry.core.feed.entry import Channel
from skerry.core.feed.journal import Standing, Trouble
from skerry.sync.follower import Follower

_WELL = "none"


def of_feed(feed: Feed, now: datetime) -> Iterator[Metric]:
    """What there is to say at a site that is one of several."""
    name = feed.family.name
    others = [feed.journal.standing(one) for one in feed.journal.streams() if one.home != name]
    yield _by_trouble(others, now)
    yield gauge("skerry_feed_followers", "Sites below that wait for news now.", feed.source.waiting)
    if feed.follower is not None:
        own = feed.family.subtree(name)
        followed = [one for one in others if one.stream.home not in own]
        yield from _following(feed.follower, followed, now)


def _by_trouble(others: list[Standing], now: datetime) -> Metric:
    family = GaugeMetricFamily(
        "skerry_feed_streams", "Streams of other sites that are held here.", labels=["trouble"]
    )
    number = Counter(one.judged(now) for one in others)
    for trouble in (None, *Trouble):
        family.add_metric([trouble or _WELL], number[trouble])
    return family


def _following(follower: Follower, followed: list[Standing], now: datetime) -> Iterator[Metric]:
    heard = follower.contact.heard_at
    vouched = [one.as_of for one in followed if one.stream.channel is Channel.RECORDS and one.as_of]
    if heard is not None:
        yield gauge(
            "skerry_feed_contact_age_seconds",
            "Since the site above last answered what is new.",
            _since(heard, now),
        )
    if vouched:
        yield gauge(
            "skerry_feed_lag_seconds",
            "Since the records that are furthest behind were those of their home, as far as is known.",
            _since(min(vouched), now),
        )
    yield gauge(
        "skerry_feed_behind_entries",
        "Entries of other sites that are vouched for and not here yet.",
        sum(max(0, one.floor - one.revision) for one in followed),
    )
    yield gauge(
        "skerry_feed_unsent_entries",
        "Entries of this part of the tree that the site above has not confirmed.",
        follower.unsent,
    )
    yield gauge(
        "skerry_feed_refused_streams",
        "Streams of this part of the tree that the site above does not take.",
        len(follower.refused),
    )


def _since(moment: datetime, now: datetime) -> float:
    return max(0.0, (now - moment).total_seconds())
