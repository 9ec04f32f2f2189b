"""The production way: the platform as pods with least power provisions, serves and deletes."""

import json
import time
from collections.abc import Iterator

import pytest

from atoll.contract.ray import RayJobCreate
from e2e import image
from e2e.clusters import Clusters, small_ray
from e2e.figures import Figures
from e2e.in_cluster import NAMESPACE, InCluster
from e2e.local import Local
from e2e.stage import NoStageError, Stage


@pytest.fixture(scope="module")
def installed(
    stage: Stage, local: Local, figures: Figures, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InCluster]:
    if local.lives:  # two platforms on one host would both work at its virtual clusters
        assert local.down().code == 0
    try:
        with figures.timed("image of the platform made and put on the nodes"):
            image.make(stage, tmp_path_factory.mktemp("image"))
    except NoStageError as error:
        pytest.skip(f"the production way: {error}")
    made = InCluster(stage)
    try:
        with figures.timed("helm install of the platform until its pods are ready"):
            made.install()
        yield made
    finally:
        made.remove()


def test_pods_provision_serve_and_delete(installed: InCluster, figures: Figures) -> None:
    clusters = Clusters(installed, figures)
    try:
        began = time.monotonic()
        clusters.ask("prod", rays=[small_ray()])
        clusters.ready("prod")
        figures.note(
            f"virtual cluster by the platform's pods: Ready after {time.monotonic() - began:.1f} s"
        )
        with installed.client() as client:
            assert client.ray_clusters.get("prod", "rays").state == "ready"
            new = RayJobCreate(name="answer", cluster="rays", entrypoint="python -c 'print(6 * 7)'")
            client.ray_jobs.submit("prod", new)
            job = client.ray_jobs.wait("prod", "answer", deadline=time.monotonic() + 120)
            assert job.status == "SUCCEEDED", job
            assert "42" in "".join(client.ray_jobs.logs("prod", "answer"))
        figures.note(
            f"deleted by the platform's pods, nothing left: {clusters.remove('prod'):.1f} s"
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\n{installed.words()}") from error
    finally:
        clusters.remove_all()


def test_every_part_has_an_account_of_its_own(installed: InCluster) -> None:
    parts = {"api", "gateway", "worker", "follower"}
    assert {f"atoll-{part}" for part in parts} <= installed.accounts()


@pytest.mark.parametrize(
    ("part", "verb", "what"),
    [
        ("api", "create", "namespaces"),
        ("api", "get", "secrets"),
        ("gateway", "list", "secrets"),
        ("worker", "delete", "nodes"),
        ("worker", "escalate", "clusterroles.rbac.authorization.k8s.io"),
        ("follower", "create", "pods"),
    ],
)
def test_no_part_has_more_power_than_it_needs(
    stage: Stage, installed: InCluster, part: str, verb: str, what: str
) -> None:
    account = f"system:serviceaccount:{NAMESPACE}:atoll-{part}"
    done = stage.run(
        stage.kubectl, "auth", "can-i", verb, what, "--as", account, "--all-namespaces"
    )
    assert done.stdout.strip() == "no"


def test_pods_are_not_root(stage: Stage, installed: InCluster) -> None:
    done = stage.run(
        stage.kubectl, "exec", "-n", NAMESPACE, "deploy/atoll-worker", "--",
        "python", "-c", "import json, os; print(json.dumps([os.getuid(), os.access('/', os.W_OK)]))",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [10001, False]
