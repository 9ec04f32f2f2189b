"""What a member of a team may do inside, on a real API server: their own work, and never the owner's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from atoll.cluster.client import Cluster
from atoll.domain.names import SYSTEM_NAMESPACE
from atoll_worker.reconcile.inside import access_manifests
from atoll_worker.reconcile.policies.manifests import policy_objects
from atoll_worker.reconcile.policies.members import validate_members
from atoll_worker.reconcile.policies.ray_status import validate_ray_status
from builders.policies_in_force import await_policies
from e2e.kube import Kube, Object
from waiting import until

ACCOUNTS = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/serviceaccounts"
TOKEN: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
DRY = "?dryRun=All"


def pod(**spec: object) -> Object:
    containers = [{"name": "c", "image": "c"}]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers, **spec}}


@pytest.fixture
async def member(inside_file: Path) -> Kube:
    kube = Kube.from_file(inside_file)
    async with Cluster.from_file(inside_file) as cluster:
        policies = [validate_members(), validate_ray_status()]
        for manifest in [
            *access_manifests({}),
            *(m for p in policies for m in policy_objects(p, {})),
        ]:
            await cluster.apply(manifest)
    for namespace in (SYSTEM_NAMESPACE, "other"):
        # There is no controller that would make it.
        kube.create(
            f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}}
        )
    answer = kube.create(f"{ACCOUNTS}/member/token", TOKEN)
    made = kube.as_bearer(answer.raise_for_status().json()["status"]["token"])
    await_policies(kube)
    return made


def test_a_member_does_their_own_work(member: Kube) -> None:
    place = "/api/v1/namespaces/other"
    for kind, body in (
        ("pods", pod()),
        ("secrets", {"metadata": {"name": "s"}}),
        ("serviceaccounts", {"metadata": {"name": "s"}}),
        ("services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}),
    ):
        answer = member.create(f"{place}/{kind}{DRY}", body)
        assert answer.status_code == 201, answer.text
    assert member.create(f"{place}/serviceaccounts/default/token", TOKEN).status_code == 201


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{ACCOUNTS}/owner/token", TOKEN),
        (f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods{DRY}", pod(serviceAccountName="owner")),
        (f"/api/v1/namespaces/kube-system/configmaps{DRY}", {"metadata": {"name": "c"}}),
    ],
    ids=["its token", "a pod as the owner", "the namespace of the system"],
)
def test_a_member_cannot_become_the_owner_by(member: Kube, path: str, body: Object) -> None:
    answer = member.create(path, body)
    assert answer.status_code == 403, answer.text
    assert "are the platform's" in answer.json()["message"]


@pytest.fixture
def rays(member: Kube) -> Iterator[str]:
    """The path of a Ray cluster that a member made."""
    path = "/apis/ray.io/v1/namespaces/other/rayclusters"
    body: Object = {
        "apiVersion": "ray.io/v1", "kind": "RayCluster", "metadata": {"name": "rays"},
        "spec": {"headGroupSpec": {"rayStartParams": {}, "template": pod()}},
    }  # fmt: skip
    answer = member.create(path, body)
    assert answer.status_code == 201, answer.text
    yield f"{path}/rays"
    member.delete(f"{path}/rays")


def account(inside_file: Path, name: str) -> Kube:
    admin = Kube.from_file(inside_file)
    answer = admin.create(f"{ACCOUNTS}/{name}/token", TOKEN).raise_for_status()
    return admin.as_bearer(answer.json()["status"]["token"])


RAN: Object = {"status": {"state": "ready"}}


@pytest.mark.parametrize(
    ("name", "words"),
    [("member", "cannot patch resource"), ("owner", "written by KubeRay alone")],
)
def test_what_a_ray_cluster_came_to_is_not_told_by(
    rays: str, inside_file: Path, name: str, words: str
) -> None:
    """One that is believed to have run goes on when the quota is full."""
    asking = account(inside_file, name)
    until(lambda: asking.send("PATCH", f"{rays}/status", RAN).status_code == 403, "it holds", 30)
    answer = asking.send("PATCH", f"{rays}/status", RAN)
    assert words in answer.json()["message"]
    suspended = asking.send("PATCH", rays, {"spec": {"suspend": True}})
    assert suspended.status_code == 200, suspended.text


def test_what_a_ray_cluster_came_to_is_told_by_its_operator(rays: str, inside_file: Path) -> None:
    admin, rbac = Kube.from_file(inside_file), "rbac.authorization.k8s.io"
    named = {"metadata": {"name": "kuberay-operator"}}
    admin.create(ACCOUNTS, named)
    binding = {
        **named,
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [
            {"kind": "ServiceAccount", "name": "kuberay-operator", "namespace": SYSTEM_NAMESPACE}
        ],
    }
    admin.create(f"/apis/{rbac}/v1/clusterrolebindings", binding)
    owner, operator = (account(inside_file, name) for name in ("owner", "kuberay-operator"))
    until(lambda: owner.send("PATCH", f"{rays}/status", RAN).status_code == 403, "it holds", 30)
    answer = operator.send("PATCH", f"{rays}/status", RAN)
    assert answer.status_code == 200, answer.text


def test_a_member_cannot_impersonate_the_owner(member: Kube) -> None:
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    attributes = {
        "verb": "impersonate", "resource": "serviceaccounts", "namespace": SYSTEM_NAMESPACE,
        "name": "owner",
    }  # fmt: skip
    answer = member.create(review, {"spec": {"resourceAttributes": attributes}})
    assert answer.json()["status"]["allowed"] is False
