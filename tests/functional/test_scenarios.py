"""The two boot scenarios of the edge-image discussion, step by step, with real sites on loopback."""

from pathlib import Path

from tests.functional.clouds import Cloud
from tests.functional.sites import noise, running, settings


async def test_distributed_control(cloud: Cloud) -> None:
    data = noise(300_000)
    image = await cloud.centre.create(data)
    record, file = f"GET /v2/images/{image['id']}", f"GET /v2/images/{image['id']}/file"

    # First use: Nova at the edge asks the edge for the record, nova-compute for the bytes.
    assert await cloud.edge.show(image["id"]) == image
    assert await cloud.edge.download(image["id"]) == data
    assert cloud.upstream.take() == [record, file]

    # Second use: no call upstream.
    assert await cloud.edge.show(image["id"]) == image
    assert await cloud.edge.download(image["id"]) == data
    assert cloud.upstream.take() == []

    # Past the TTL: the record is checked, the bytes stay where they are.
    cloud.pass_ttl()
    assert await cloud.edge.download(image["id"]) == data
    assert cloud.upstream.take() == [record]

    # Upstream away: what is known is used, and the answer says since when it is not confirmed.
    cloud.pass_ttl()
    cloud.line.cut()
    assert await cloud.edge.download(image["id"]) == data
    status, headers, body = await cloud.edge.call("GET", f"/v2/images/{image['id']}")
    assert (status, body) == (200, image)
    assert "as-of=" in headers["Skerry-Stale"]
    assert cloud.upstream.take() == []


async def test_distributed_control_with_an_upstream_that_changes(cloud: Cloud) -> None:
    renamed, deactivated, deleted = [await cloud.centre.create(noise(1000)) for _ in range(3)]
    for image in (renamed, deactivated, deleted):
        await cloud.edge.download(image["id"])
    assert await cloud.centre.patch(renamed["id"], {"op": "replace", "path": "/name", "value": "new"}) == 200
    assert (await cloud.centre.call("POST", f"/v2/images/{deactivated['id']}/actions/deactivate"))[0] == 204
    assert (await cloud.centre.call("DELETE", f"/v2/images/{deleted['id']}"))[0] == 204

    assert await cloud.edge.show(renamed["id"]) == renamed  # within the TTL the edge does not know

    cloud.pass_ttl()
    assert (await cloud.edge.show(renamed["id"]))["name"] == "new"
    assert (await cloud.edge.show(deactivated["id"]))["status"] == "deactivated"
    assert (await cloud.edge.call("GET", f"/v2/images/{deleted['id']}"))[0] == 404
    assert (await cloud.edge.call("GET", f"/v2/images/{deleted['id']}/file"))[0] == 404
    await cloud.edge.site.edge.cache.sweep()  # type: ignore[union-attr]
    assert deleted["id"] not in set(cloud.edge.site.store.ids())


async def test_centralised_control(cloud: Cloud) -> None:
    data = noise(300_000)
    image = await cloud.centre.create(data)

    # First use: Nova asks the centre for the record, nova-compute asks an edge that never heard of the image.
    assert (await cloud.centre.show(image["id"]))["status"] == "active"
    assert await cloud.edge.download(image["id"]) == data
    assert cloud.upstream.take() == [f"GET /v2/images/{image['id']}", f"GET /v2/images/{image['id']}/file"]

    # Second use.
    assert await cloud.edge.download(image["id"]) == data
    assert cloud.upstream.take() == []

    # Past the TTL.
    cloud.pass_ttl()
    assert await cloud.edge.download(image["id"]) == data
    assert cloud.upstream.take() == [f"GET /v2/images/{image['id']}"]

    # The centre deletes it, and is then away before the edge has heard: the edge still has it.
    other = await cloud.centre.create(noise(10))
    await cloud.edge.download(other["id"])
    assert (await cloud.centre.call("DELETE", f"/v2/images/{other['id']}"))[0] == 204
    cloud.line.cut()
    cloud.pass_ttl()
    await cloud.edge.download(other["id"])

    # The line is back: the edge learns it.
    cloud.line.restore()
    await cloud.edge.site.edge.link.wait_connected()  # type: ignore[union-attr]
    assert (await cloud.edge.call("GET", f"/v2/images/{other['id']}/file"))[0] == 404


async def test_one_image_service_and_several_api_servers(cloud: Cloud, tmp_path: Path) -> None:
    """Architecture G: with a TTL of 0 the edge shows every change at once, and keeps only bytes."""
    config = settings(tmp_path / "second", upstream={"url": cloud.upstream.target, "ttl": 0})
    data = noise(1000)
    async with running(config) as server:
        image = await cloud.centre.create(data)
        assert await server.download(image["id"]) == data
        assert (
            await cloud.centre.patch(image["id"], {"op": "add", "path": "/os_distro", "value": "debian"})
            == 200
        )
        assert (await server.show(image["id"]))["os_distro"] == "debian"
        assert (await server.call("GET", "/v2/images"))[2]["images"][0]["os_distro"] == "debian"
        assert (await cloud.centre.call("DELETE", f"/v2/images/{image['id']}"))[0] == 204
        assert (await server.call("GET", f"/v2/images/{image['id']}"))[0] == 404
        assert (await server.call("GET", "/v2/images"))[2]["images"] == []
