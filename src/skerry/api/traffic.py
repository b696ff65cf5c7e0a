"""What the routes of a site have been asked, how they answered and how fast.

It is part of every request, so it does no more than add numbers, and is no middleware, which costs more than
they do; `api.site.metrics` makes something of them.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Awaitable, Callable
from time import perf_counter

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0, 600.0)
"""Seconds: records take the first of them, downloads the last."""

OTHER = "other"
"""The method, or path, of requests that no route is for: what a client made up is no label."""

BROKEN_OFF = 499
"""What is counted where a client went away before its answer; nginx' number for it."""


class Route:
    """The requests for one method and path since the site started.

    `within` counts those that took up to each of BUCKETS, each in the first that holds it, and last the rest.
    """

    def __init__(self, method: str, path: str) -> None:
        self.method = method
        self.path = path
        self.statuses: Counter[int] = Counter()
        self.seconds = 0.0
        self.within = [0] * (len(BUCKETS) + 1)

    def count(self, status: int, seconds: float) -> None:
        """Add one request that took so long until its answer was ready; the bytes of an image, until sent."""
        self.statuses[status] += 1
        self.seconds += seconds
        self.within[bisect_left(BUCKETS, seconds)] += 1


class Traffic:
    """All requests that a site has had."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def counted(self, method: str, path: str, answer: Answer, heard: Callable[[web.Request], None]) -> Answer:
        """`answer`, with each of its requests counted; `heard` is told of it first."""
        route = Route(method, path)
        self.routes.append(route)

        async def counting(request: web.Request) -> web.StreamResponse:
            began = perf_counter()
            heard(request)
            status = BROKEN_OFF
            try:
                response = await answer(request)
                status = response.status
                return response
            finally:
                route.count(status, perf_counter() - began)

        return counting
