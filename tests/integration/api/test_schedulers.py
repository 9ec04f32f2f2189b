"""Which gang scheduler a team may have, through the API and by kubectl, on a real API server."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest

from atoll.cluster import kinds
from atoll.cluster.client import Cluster
from atoll.errors import InvalidError
from builders.api_process import chart, profile, wanted


def with_yunikorn(name: str) -> dict[str, Any]:
    made = profile(name)
    made["spec"]["scheduler"] = {"name": "yunikorn", "chart": chart("yunikorn", "1.9.0")}
    return made


@pytest.fixture
def team(api: httpx2.Client, request: pytest.FixtureRequest) -> str:
    """A team that may use Volcano alone, beside a profile with YuniKorn; of this test's own name.

    No worker is there to let a virtual cluster go, so names are not used again.
    """
    name = f"s{abs(hash(request.node.name)) % 10**8}"
    api.post("/v1/profiles", json=with_yunikorn(name)).raise_for_status()
    body = {"name": name, "spec": {"schedulers": ["volcano"]}}
    api.post("/v1/teams", json=body).raise_for_status()
    return name


def problems(answer: httpx2.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {field["pointer"]: field["detail"] for field in answer.json()["errors"]}


def test_one_that_is_not_on_the_list_is_refused_with_those_that_are(
    api: httpx2.Client, team: str
) -> None:
    answer = api.post("/v1/virtual-clusters", json=wanted(team, team, profile=team))
    words = problems(answer)["/spec/profile"]
    assert words.startswith(f"profile '{team}' has the scheduler yunikorn, which team '{team}'")
    assert "it may use: volcano" in words
    assert api.get(f"/v1/virtual-clusters/{team}").status_code == 404
    assert api.post("/v1/virtual-clusters", json=wanted(team, team)).status_code == 202


def test_an_empty_list_allows_all(api: httpx2.Client, team: str) -> None:
    change = {"spec": {"schedulers": []}}
    api.patch(f"/v1/teams/{team}", json=change, headers={"If-Match": "*"}).raise_for_status()
    body = wanted(team, team, profile=team)
    assert api.post("/v1/virtual-clusters", json=body).status_code == 202


@pytest.mark.parametrize("part", ["team", "profile"])
def test_an_unknown_scheduler_is_refused_by_the_api_and_by_kubernetes(
    api: httpx2.Client, api_server: Path, part: str
) -> None:
    spec = {"schedulers": ["slurm"]}
    if part == "profile":
        spec = with_yunikorn("x")["spec"]
        spec["scheduler"]["name"] = "slurm"
    body = {"name": "wrong", "spec": spec}
    (words,) = problems(api.post(f"/v1/{part}s", json=body)).values()
    assert "'volcano' or 'yunikorn'" in words

    async def by_kubectl() -> None:
        manifest = {"apiVersion": "atoll.dev/v1alpha1", "kind": part.title(),
                    "metadata": {"name": "wrong"}, "spec": spec}  # fmt: skip
        async with Cluster.from_file(api_server) as cluster:
            with pytest.raises(InvalidError, match=r'"volcano", "yunikorn"'):
                await cluster.create(manifest)

    asyncio.run(by_kubectl())


def test_too_old_is_measured_by_the_scheduler_that_is_named(api: httpx2.Client) -> None:
    old = with_yunikorn("old")
    old["spec"]["scheduler"]["chart"]["version"] = "1.8.0"
    words = problems(api.post("/v1/profiles", json=old))["/spec/scheduler/chart/version"]
    assert words == "1.8.0 is too old; the oldest supported version is 1.9.0"


def test_a_kubernetes_too_old_for_the_scheduler_is_refused(api: httpx2.Client) -> None:
    old = with_yunikorn("old")
    old["spec"]["kubernetes"]["version"] = "1.35.4"
    words = problems(api.post("/v1/profiles", json=old))["/spec/kubernetes/version"]
    assert words.startswith("1.35.4 is too old for the scheduler yunikorn, which needs 1.36.0")


def test_a_living_virtual_cluster_keeps_its_scheduler(
    api: httpx2.Client, api_server: Path, team: str
) -> None:
    api.patch(f"/v1/teams/{team}", json={"spec": {"schedulers": []}}, headers={"If-Match": "*"})
    assert api.post("/v1/virtual-clusters", json=wanted(team, team)).status_code == 202

    async def let_in() -> None:
        """What the worker writes when it has let it in."""
        async with Cluster.from_file(api_server) as cluster:
            change = {"status": {"scheduler": "volcano"}}
            await cluster.patch(kinds.VIRTUAL_CLUSTER, team, change, status=True)

    asyncio.run(let_in())
    change = {"spec": {"profile": team}}
    answer = api.patch(f"/v1/virtual-clusters/{team}", json=change, headers={"If-Match": "*"})
    assert "the virtual cluster has volcano" in problems(answer)["/spec/profile"]


def test_the_scheduler_of_a_profile_in_use_stays(api: httpx2.Client, team: str) -> None:
    api.patch(f"/v1/teams/{team}", json={"spec": {"schedulers": []}}, headers={"If-Match": "*"})
    path, change = (
        f"/v1/profiles/{team}",
        {"spec": {"scheduler": profile("x")["spec"]["scheduler"]}},
    )
    change["spec"]["scheduler"]["name"] = "volcano"
    match = {"If-Match": "*"}
    body = wanted(team, team, profile=team)
    assert api.post("/v1/virtual-clusters", json=body).status_code == 202
    answer = api.patch(path, json=change, headers=match)
    assert (answer.status_code, answer.json()["code"]) == (409, "in_use")
    assert answer.json()["detail"].startswith(f"Profile '{team}' is used by: {team}")
    assert api.delete(f"/v1/virtual-clusters/{team}", headers=match).status_code == 202
