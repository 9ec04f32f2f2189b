"""What a member of a team may do inside, on a real API server: their own work, and never the owner's."""

from pathlib import Path

import pytest

from atoll.cluster.client import Cluster
from atoll.domain.names import SYSTEM_NAMESPACE
from atoll_worker.reconcile.inside import access_manifests
from atoll_worker.reconcile.policies.manifests import policy_objects
from atoll_worker.reconcile.policies.members import validate_members
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
        for manifest in [*access_manifests({}), *policy_objects(validate_members(), {})]:
            await cluster.apply(manifest)
    for namespace in (SYSTEM_NAMESPACE, "other"):
        # There is no controller that would make it.
        kube.create(
            f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "default"}}
        )
    answer = kube.create(f"{ACCOUNTS}/member/token", TOKEN)
    made = kube.as_bearer(answer.raise_for_status().json()["status"]["token"])
    path = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/configmaps{DRY}"
    until(lambda: made.create(path, {"metadata": {"name": "c"}}).status_code == 403, "it holds", 30)
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


def test_a_member_cannot_impersonate_the_owner(member: Kube) -> None:
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    attributes = {
        "verb": "impersonate", "resource": "serviceaccounts", "namespace": SYSTEM_NAMESPACE,
        "name": "owner",
    }  # fmt: skip
    answer = member.create(review, {"spec": {"resourceAttributes": attributes}})
    assert answer.json()["status"]["allowed"] is False
