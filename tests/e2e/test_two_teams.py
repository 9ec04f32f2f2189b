"""Two teams at once, on different versions of everything; neither sees anything of the other."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest

from atoll.domain.names import RAY_NAMESPACE, SYSTEM_NAMESPACE
from atoll.domain.schedulers import VOLCANO
from e2e.clusters import Clusters, small_ray
from e2e.figures import Figures
from e2e.kube import Kube
from e2e.local import Local
from e2e.stage import OWNER_LABEL
from e2e.test_gangs import RAYS

VERSIONS = {"demo": ("1.36.3", "1.7.0", "2.60.0"), "bees": ("1.35.4", "1.6.2", "2.56.1")}
"""Virtual cluster -> Kubernetes, KubeRay, Ray: the profiles `default` and `previous` of the bundle."""


@dataclass(frozen=True)
class Team:
    """One virtual cluster from inside, and the nodes it owns."""

    name: str
    inside: Kube
    nodes: list[str]


@pytest.fixture(scope="module")
def teams(platform: Local, figures: Figures) -> Iterator[dict[str, Team]]:
    if len(platform.stage.nodes) < 2:
        pytest.skip("two teams need two nodes")
    platform.demo()
    made = Clusters(platform, figures)
    try:
        with figures.timed("second team (1.35.4, 1.6.2, 2.56.1) beside the first, to Ready"):
            made.ask("bees", profile="previous", rays=[small_ray()])
            made.ready("bees")
        with platform.client() as client:
            yield {
                name: Team(
                    name, platform.stage.inside(name),
                    client.virtual_clusters.get(name).status.nodes,
                )
                for name in VERSIONS
            }  # fmt: skip
    finally:
        made.remove_all()


@pytest.mark.parametrize("name", VERSIONS)
def test_each_runs_the_versions_of_its_profile(teams: dict[str, Team], name: str) -> None:
    kubernetes, kuberay, ray = VERSIONS[name]
    inside = teams[name].inside
    assert (inside.get("/version") or {})["gitVersion"].startswith(f"v{kubernetes}")
    path = f"/apis/apps/v1/namespaces/{SYSTEM_NAMESPACE}/deployments/kuberay-operator"
    operator = (inside.get(path) or {})["spec"]["template"]["spec"]["containers"][0]["image"]
    assert operator.endswith(f":v{kuberay}")
    heads = inside.items(
        f"/api/v1/namespaces/{RAY_NAMESPACE}/pods?labelSelector=ray.io/node-type%3Dhead"
    )
    assert [h["spec"]["containers"][0]["image"] for h in heads] == [
        f"docker.io/rayproject/ray:{ray}"
    ]
    assert heads[0]["status"]["phase"] == "Running"


def test_each_owns_nodes_of_its_own(platform: Local, teams: dict[str, Team]) -> None:
    owned = {name: set(team.nodes) for name, team in teams.items()}
    assert all(owned.values())
    assert owned["demo"] & owned["bees"] == set()
    for name, team in teams.items():
        seen = {node["metadata"]["name"] for node in team.inside.items("/api/v1/nodes")}
        assert seen == owned[name]
        for node in platform.stage.host.items(
            f"/api/v1/nodes?labelSelector={OWNER_LABEL}%3D{name}"
        ):
            assert node["metadata"]["name"] in owned[name]


def test_each_sees_its_own_namespaces_and_ray_clusters_alone(teams: dict[str, Team]) -> None:
    rays = {"demo": {"demo"}, "bees": {"rays"}}
    for name, team in teams.items():
        namespaces = {n["metadata"]["name"] for n in team.inside.items("/api/v1/namespaces")}
        assert namespaces >= {RAY_NAMESPACE, SYSTEM_NAMESPACE}
        assert not {n for n in namespaces if n.startswith("vc-")}
        found = {c["metadata"]["name"] for c in team.inside.items("/apis/ray.io/v1/rayclusters")}
        assert found == rays[name]
        pods = team.inside.items("/api/v1/pods")
        strangers = {p["spec"].get("nodeName") for p in pods} - set(team.nodes) - {None}
        assert strangers == set(), "pods inside run on nodes that are not the team's"


def test_the_token_of_one_is_refused_by_the_other(platform: Local, teams: dict[str, Team]) -> None:
    with platform.client() as client:
        url = client.url
        tokens = {name: client.virtual_clusters.credential(name).token for name in teams}
    path = "/api/v1/namespaces/ray/pods"
    for mine, other in (("demo", "bees"), ("bees", "demo")):
        bearer = {"Authorization": f"Bearer {tokens[mine]}"}
        own = teams[mine].inside.as_bearer(tokens[mine])
        assert own.send("GET", path).status_code == 200
        stranger = teams[other].inside.as_bearer(tokens[mine])
        assert stranger.send("GET", path).status_code == 401
        through = f"{url}/v1/virtual-clusters/{{}}/kubernetes{path}"
        with httpx2.Client(trust_env=False, timeout=20) as http:
            assert http.get(through.format(mine), headers=bearer).status_code == 200
            assert http.get(through.format(other), headers=bearer).status_code in (401, 403)


def test_a_ray_cluster_without_our_label_is_in_the_queue_or_told_of_it(
    teams: dict[str, Team],
) -> None:
    """On an older Kubernetes, where admission mutates by a beta if at all."""
    inside = teams["bees"].inside
    bare = inside.get(f"{RAYS}/rays")
    assert bare is not None
    bare["metadata"] = {"name": "bare", "namespace": RAY_NAMESPACE}
    bare.pop("status", None)
    bare["spec"].pop("gcsFaultToleranceOptions", None)  # those of `rays` are not its own
    answer = inside.create(f"{RAYS}?dryRun=All", bare)
    if answer.status_code == 201:
        assert answer.json()["metadata"]["labels"][VOLCANO.queue_label] == "team-bees"
    else:
        assert f"Set the label {VOLCANO.queue_label} to team-bees" in answer.json()["message"]
