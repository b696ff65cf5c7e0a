"""What comes down from the upstream, no faster than the operator lets it."""

import asyncio
from pathlib import Path

from tests.functional.sites import eventually, noise, running, settings

RATE = 1_000_000


async def test_the_rate_of_a_link_is_that_of_all_that_comes_over_it_together(tmp_path: Path) -> None:
    async with running(settings(tmp_path / "centre")) as centre:
        upstream = {"url": centre.url, "rate": "1MB"}
        async with running(settings(tmp_path / "edge", upstream=upstream)) as edge:
            small, large = noise(700_000), noise(1_500_000)  # the second comes by its chunks
            images = [(await centre.create(data))["id"] for data in (small, large)]
            await eventually(lambda: centre.site.chunks.name_of(images[1]) is not None)
            loop = asyncio.get_running_loop()
            began = loop.time()
            assert await asyncio.gather(*map(edge.download, images)) == [small, large]
            took = loop.time() - began
            assert edge.site.edge is not None
            assert took > (edge.site.edge.upstream.received - 400_000) / RATE
            assert edge.site.edge.upstream.received >= 2_200_000
