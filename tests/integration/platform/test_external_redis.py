"""Ray heads keep their state in a Redis that somebody else runs: the whole platform with real processes."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import PROFILE, SECRET, STATEFUL_SET, VIRTUAL_CLUSTER
from builders.redis_server import ADMIN, Server, redis_server
from builders.sandbox_site import Site, ready, until
from integration.platform.test_trouble import resource, wish

pytestmark = pytest.mark.sandbox
RAYS = {"name": "rays", "workers": 0, "headCpu": "500m", "headMemory": "1Gi"}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server(Path(tmp_path_factory.mktemp("theirs"))) as running:
        yield running


@pytest.fixture
async def host(site: Site, theirs: Server) -> AsyncIterator[Cluster]:
    """The host with a profile `theirs` whose Secret is not there yet."""
    async with site.cluster() as found:
        quota = {"cpu": {"limit": "12"}, "memory": {"limit": "24Gi"}}
        await found.apply(resource("Team", "blue", {"quota": quota}))
        spec = (await found.get(PROFILE, "default"))["spec"]
        external = {"address": f"127.0.0.1:{theirs.port}", "secret": "theirs"}
        spec["redis"] = {**spec.get("redis", {}), "external": external}
        await found.apply(resource("Profile", "theirs", spec))
        yield found
        await found.delete(PROFILE, "theirs")


async def put_password(host: Cluster, password: str) -> None:
    encoded = base64.b64encode(password.encode()).decode()
    meta = {"name": "theirs", "namespace": "atoll-system"}
    await host.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {"password": encoded}}
    )


def missing(item: dict[str, object] | None) -> bool:
    return "RedisSecretMissing" in str((item or {}).get("status"))


def refused(item: dict[str, object] | None) -> bool:
    return "RedisRefused" in str((item or {}).get("status"))


async def test_state_goes_there_and_is_gone_with_the_virtual_cluster(
    host: Cluster, theirs: Server
) -> None:
    asked = wish(profile="theirs", rayClusters=[RAYS])
    await host.create(resource("VirtualCluster", "abroad", asked))
    await until(host, "abroad", missing, 90)
    await put_password(host, "quite-another")
    await until(host, "abroad", refused, 90)
    told = str((await host.get(VIRTUAL_CLUSTER, "abroad"))["status"])
    assert f"127.0.0.1:{theirs.port}" in told
    assert "quite-another" not in told
    await put_password(host, ADMIN)
    await until(host, "abroad", ready, 150)
    assert await host.find(STATEFUL_SET, "redis", "vc-abroad") is None
    assert await host.find(SECRET, "redis", "vc-abroad") is None
    with theirs.client() as client:
        assert any(str(key).endswith("@NODE") for key in client.scan_iter("RAY*"))
        assert min(client.acl_users()).startswith("abroad.")
        await host.delete(VIRTUAL_CLUSTER, "abroad")
        await until(host, "abroad", lambda item: item is None, 200)
        assert client.acl_users() == ["default"]
        assert client.dbsize() == 0
