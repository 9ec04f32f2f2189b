"""The ResourceQuota is put back as it must be, also by a team that has left no room for helm."""

from types import SimpleNamespace
from typing import Any

import pytest

from atoll.resources.profiles import Profile
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.settings import Settings
from atoll_worker.adapters.helm import canonical_hash
from atoll_worker.reconcile.outcome import Install, Patch
from atoll_worker.reconcile.ports import Release
from atoll_worker.reconcile.steps.guard_rails import GuardRails, Rails, tenant_chart
from atoll_worker.reconcile.steps.release import folder_version

CHART = {"repository": "https://charts.example", "name": "c", "version": "1.0.0"}


def scope(cpu: str) -> Any:
    profile = Profile.model_validate(
        {
            "metadata": {"name": "p"},
            "spec": {
                "kubernetes": {"version": "1.36.3"}, "vcluster": {"chart": CHART},
                "kuberay": {"chart": CHART}, "scheduler": {"chart": CHART},
                "ray": {"version": "2.60.0"},
            },
        }
    )  # fmt: skip
    spec = {"team": "red", "quota": {"cpu": cpu}}
    vc = VirtualCluster.model_validate({"metadata": {"name": "a"}, "spec": spec})
    return SimpleNamespace(
        vc=vc, versions=profile, fence=1, namespace="vc-a", settings=Settings(),
        releases=SimpleNamespace(values_hash=canonical_hash),
    )  # fmt: skip


def rails(values: dict[str, Any], secrets: str) -> Rails:
    """The release as it was rendered with these values, and as many Secrets used."""
    hard = values["quota"]["hard"]
    status = {"hard": hard, "used": {"count/secrets": secrets}}
    version = folder_version(tenant_chart(None))
    release = Release("tenant", 1, "deployed", version, canonical_hash(values))
    return Rails(release, ({"spec": {"hard": hard}, "status": status},))


def values_of(cpu: str) -> dict[str, Any]:
    (install,) = GuardRails().plan(scope(cpu), Rails(None, ({},)))
    assert isinstance(install, Install)
    return install.values


@pytest.mark.parametrize(("secrets", "full"), [("30", False), ("1000", True), ("1200", True)])
def test_a_team_that_uses_all_its_secrets_cannot_keep_its_quota(secrets: str, full: bool) -> None:
    """A new revision of the release is a Secret, and would be refused."""
    changes = GuardRails().plan(scope("1"), rails(values_of("4"), secrets))
    assert isinstance(changes[-1], Install)
    patches = [change for change in changes if isinstance(change, Patch)]
    assert len(patches) == (1 if full else 0)
    for patch in patches:
        hard = patch.change["spec"]["hard"]
        assert int(hard["count/secrets"]) > int(secrets)
        assert hard["requests.cpu"] == values_of("1")["quota"]["hard"]["requests.cpu"]


def test_a_quota_that_holds_is_left_alone_however_much_is_used() -> None:
    assert GuardRails().plan(scope("4"), rails(values_of("4"), "1000")) == []
