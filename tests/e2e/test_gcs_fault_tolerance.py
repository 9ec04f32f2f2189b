"""The state of Ray heads: what is killed comes back with what it knew, and nobody reads another's."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from atoll.contract.profiles import ProfileCreate
from atoll.domain.gcs_store import credentials_name
from atoll.domain.names import RAY_NAMESPACE
from atoll.errors import ConflictError
from e2e.clusters import Clusters, small_ray
from e2e.figures import Figures
from e2e.kube import Kube, Object, secret_value
from e2e.local import Local
from e2e.stage import Stage
from waiting import until

NAME = "kept"
PODS = f"/api/v1/namespaces/{RAY_NAMESPACE}/pods"
RAYS = f"/apis/ray.io/v1/namespaces/{RAY_NAMESPACE}/rayclusters"
ONE_AND_THREE = pytest.mark.parametrize("site", [3, 1], indirect=True)
ONE = pytest.mark.parametrize("site", [1], indirect=True)
THREE = pytest.mark.parametrize("site", [3], indirect=True)
PATIENCE = 180.0
HOST_PODS = f"/api/v1/namespaces/vc-{NAME}/pods"
# On the worker where it is asked: an actor on the head dies with it, whatever the GCS remembers.
# It waits for the head's port before it loads Ray: a client that comes too early hangs for long.
COUNTER = """
import os
import socket
import time

while True:
    try:
        socket.create_connection((os.environ["FQ_RAY_IP"], 6379), 1).close()
        break
    except OSError:
        time.sleep(0.1)

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On
ray.init(address="auto", namespace="test", log_to_driver=False)
@ray.remote(num_cpus=0)
class Counter:
    def __init__(self):
        self.value = 0
    def add(self):
        self.value += 1
        return self.value
here = On(ray.get_runtime_context().get_node_id(), soft=False)
counter = Counter.options(
    name="counter", lifetime="detached", get_if_exists=True, scheduling_strategy=here
).remote()
print("VALUE", ray.get(counter.add.remote(), timeout=20))
"""
AS_ADMINISTRATOR = 'REDISCLI_AUTH=$(cat /etc/redis-secret/password) exec redis-cli "$@"'


@dataclass
class Site:
    """The virtual cluster under test, from outside and from inside."""

    stage: Stage
    inside: Kube
    name: str = NAME

    def kubectl(self, *argv: str, seconds: int = 60, inside: bool = True) -> tuple[int, str]:
        """A command of kubectl; exit code and output."""
        config = self.stage.inside_config(self.name) if inside else None
        env = {}
        if config is not None:
            file = self.stage.kubeconfig.with_name(f"inside-{self.name}.json")
            file.touch(mode=0o600)
            file.write_text(json.dumps(config))
            env["KUBECONFIG"] = str(file)
        done = self.stage.run("timeout", str(seconds), self.stage.kubectl, *argv, env=env)
        return done.returncode, done.stdout + done.stderr

    def pods(self, kind: str) -> list[Object]:
        """Living pods of the Ray cluster: head or worker."""
        path = f"{PODS}?labelSelector=ray.io/cluster%3Drays,ray.io/node-type%3D{kind}"
        return [p for p in self.inside.items(path) if not p["metadata"].get("deletionTimestamp")]

    def count(self, seconds: int = 30) -> int | None:
        """Add one in the detached actor, from a worker pod; None when Ray does not answer."""
        (worker, *_) = self.pods("worker")
        code, out = self.kubectl(
            "exec", "-n", RAY_NAMESPACE, worker["metadata"]["name"], "--", "python", "-c", COUNTER,
            seconds=seconds,
        )  # fmt: skip
        said = [line for line in out.splitlines() if line.startswith("VALUE")]
        return int(said[-1].split()[1]) if code == 0 and said else None

    def patient_count(self) -> int:
        """The same, before anything is broken."""
        for _ in range(5):
            if (found := self.count()) is not None:
                return found
        raise AssertionError("the actor does not answer before anything was killed")

    def workers(self) -> dict[str, int]:
        """Worker pods by UID, with the restarts of their containers."""
        return {
            p["metadata"]["uid"]: sum(c["restartCount"] for c in p["status"]["containerStatuses"])
            for p in self.pods("worker")
        }

    def kill(self, kind: str, name: str) -> None:
        """Force the deletion of a pod: nothing in it gets to say good-bye."""
        where = ("-n", RAY_NAMESPACE) if kind == "ray" else ("-n", f"vc-{self.name}")
        force = ("--grace-period=0", "--force", "--wait=false")
        code, out = self.kubectl("delete", "pod", name, *where, *force, inside=kind == "ray")
        assert code == 0, out

    def redis(self, pod: str, *words: str, user: tuple[str, str] | None = None) -> str:
        """One command of Redis in a Redis pod, as the administrator or as a user."""
        argv = ["exec", "-n", f"vc-{self.name}", pod, "-c", "redis", "--"]
        if user:
            argv += ["env", f"REDISCLI_AUTH={user[1]}", "redis-cli", "--user", user[0]]
        else:
            argv += ["sh", "-c", AS_ADMINISTRATOR, "redis-cli"]
        return self.kubectl(*argv, *words, inside=False)[1].strip()

    def primary(self) -> str:
        """The Redis pod that takes writes."""
        pods = [str(p["metadata"]["name"]) for p in self.stage.host.items(HOST_PODS)]
        data = sorted(name for name in pods if re.fullmatch(r"redis-\d", name))
        (found,) = [pod for pod in data if self.redis(pod, "role").startswith("master")]
        return found

    def head_begins_after(self, before: str | None) -> None:
        """Wait until another start of the head than that one runs."""
        until(lambda: self.head_starts() not in (before, None), "the head began anew", 120)

    def head_starts(self) -> str | None:
        """When the head's container was started; None while it does not run."""
        pods = self.pods("head")
        state = pods[0]["status"].get("containerStatuses", [{}])[0].get("state", {}) if pods else {}
        found = state.get("running", {}).get("startedAt")
        return f"{pods[0]['metadata']['uid']} {found}" if found else None

    @contextmanager
    def kept(self, what: str, figures: Figures) -> Iterator[None]:
        """What is done within costs neither the actor's value nor a worker; notes the seconds."""
        value, workers = self.patient_count(), self.workers()
        began, asked = time.monotonic(), 1
        yield
        since = time.monotonic() - began
        # One that is asked too early may hang until its time is over; it waits for the head's port, too.
        while (found := self.count(min(10 + 10 * asked, 30))) is None:
            assert time.monotonic() - began < PATIENCE, f"no answer {PATIENCE} s after {what}"
            time.sleep(0.3)
            asked += 1
        took = time.monotonic() - began
        figures.note(f"{what}: the actor answers after {took:.1f} s, asked from {since:.1f} s on")
        # One that was asked and whose answer was lost on the way has counted, too. A new actor says 1.
        assert value < found <= value + asked
        assert self.workers() == workers


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, platform: Local, figures: Figures) -> Iterator[Site]:
    """A virtual cluster with a Ray cluster, on as many Redis pods as the test asks for."""
    made = Clusters(platform, figures)
    with platform.client() as client:
        spec = client.profiles.get("default").spec.model_copy(deep=True)
        spec.redis.replicas = request.param
        with suppress(ConflictError):
            client.profiles.create(ProfileCreate(name=f"redis-{request.param}", spec=spec))
    try:
        made.ask(NAME, profile=f"redis-{request.param}", rays=[small_ray()])
        with figures.timed(f"on {request.param} Redis pods: to Ready"):
            made.ready(NAME)
        site = Site(made.stage, made.stage.inside(NAME))
        until(lambda: site.count() is not None, "the actor answers", 60)
        yield site
    finally:
        made.remove_all()


@ONE_AND_THREE
def test_a_killed_head_comes_back_with_its_actor(site: Site, figures: Figures) -> None:
    with site.kept("head killed", figures):
        (head,), before = site.pods("head"), site.head_starts()
        site.kill("ray", head["metadata"]["name"])
        site.head_begins_after(before)


@ONE_AND_THREE
def test_a_killed_primary_comes_back_or_is_followed(site: Site, figures: Figures) -> None:
    with site.kept("Redis primary killed", figures):
        before = site.head_starts()
        site.kill("redis", site.primary())
        # A head that has not noticed yet still answers: it ends when it notices, and begins anew.
        site.head_begins_after(before)


@ONE_AND_THREE
def test_head_and_primary_killed_at_once(site: Site, figures: Figures) -> None:
    with site.kept("head and Redis primary killed", figures):
        (head,) = site.pods("head")
        before = site.head_starts()
        site.kill("redis", site.primary())
        site.kill("ray", head["metadata"]["name"])
        site.head_begins_after(before)


@ONE_AND_THREE
def test_a_new_password_of_redis_ends_no_head_and_loses_nothing(
    site: Site, platform: Local, figures: Figures
) -> None:
    secret = f"/api/v1/namespaces/vc-{NAME}/secrets/redis"

    def password() -> str:
        return secret_value(site.stage.host.get(secret) or {}, "password")

    def agreed() -> bool:
        with platform.client() as client:
            told = client.virtual_clusters.get(NAME).status.conditions
        (condition,) = [one for one in told if one.type == "RedisPasswordReady"]
        return "The new password is used" in condition.message

    old, start = password(), site.head_starts()
    with site.kept("new password of Redis", figures):
        ran = platform.atoll("vc", "update", NAME, "--new-redis-password")
        assert ran.code == 0, ran
        until(lambda: password() != old and agreed(), "the new password is used", 120)
    assert site.head_starts() == start
    with site.kept("head killed after a new password", figures):
        (head,), before = site.pods("head"), site.head_starts()
        site.kill("ray", head["metadata"]["name"])
        site.head_begins_after(before)


@THREE
def test_a_lost_volume_is_filled_again(site: Site, figures: Figures) -> None:
    primary = site.primary()
    lost = next(f"redis-{n}" for n in (0, 1, 2) if f"redis-{n}" != primary)
    claim = f"/api/v1/namespaces/vc-{NAME}/persistentvolumeclaims/data-{lost}"
    before = (site.stage.host.get(claim) or {})["metadata"]["uid"]
    began = time.monotonic()
    site.stage.host.delete(claim)
    site.kill("redis", lost)

    def filled() -> bool:
        found = site.stage.host.get(claim)
        new = found is not None and found["metadata"]["uid"] != before
        return new and "master_link_status:up" in site.redis(lost, "info", "replication")

    until(filled, f"{lost} has a new volume and follows", 120)
    figures.note(
        f"volume of a replica deleted, filled again after {time.monotonic() - began:.1f} s"
    )
    assert site.redis(lost, "dbsize") == site.redis(primary, "dbsize")
    assert site.primary() == primary


@ONE_AND_THREE
def test_a_user_made_ray_cluster_gets_keys_of_its_own_and_reads_no_others(
    site: Site, figures: Figures
) -> None:
    rays = site.inside.get(f"{RAYS}/rays")
    assert rays is not None
    like = rays["spec"]
    bare: dict[str, Any] = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "mine", "namespace": RAY_NAMESPACE},
        "spec": {
            "rayVersion": like["rayVersion"],
            "headGroupSpec": like["headGroupSpec"],
            "workerGroupSpecs": [],
        },
    }
    began = time.monotonic()
    answer = site.inside.create(RAYS, bare)
    assert answer.status_code == 201, answer.text
    secret = credentials_name("RayCluster", "mine")
    path = f"/api/v1/namespaces/{RAY_NAMESPACE}/secrets/{secret}"
    until(lambda: site.inside.get(path), "its Secret is there", 60)
    found = site.inside.get(path)
    assert found is not None
    figures.note(f"user-made Ray cluster: its Secret after {time.monotonic() - began:.1f} s")
    until(
        lambda: (site.inside.get(f"{RAYS}/mine") or {}).get("status", {}).get("state") == "ready",
        "the user-made Ray cluster is ready", 240,
    )  # fmt: skip
    figures.note(f"user-made Ray cluster: ready after {time.monotonic() - began:.1f} s")
    redis = site.primary()
    user = secret_value(found, "username"), secret_value(found, "password")
    own, other = answer.json()["metadata"]["uid"], rays["metadata"]["uid"]
    assert int(site.redis(redis, "hlen", f"RAY{own}@NODE", user=user).split()[-1]) >= 1
    assert "NOPERM" in site.redis(redis, "hgetall", f"RAY{other}@NODE", user=user)
    assert "NOPERM" in site.redis(redis, "del", f"RAY{other}@NODE", user=user)
    assert "NOPERM" in site.redis(redis, "acl", "list", user=user)
    assert site.inside.get(f"/api/v1/namespaces/{RAY_NAMESPACE}/secrets/redis") is None

    site.inside.delete(f"{RAYS}/mine")
    until(lambda: site.inside.get(f"{RAYS}/mine") is None, "the Ray cluster is gone", 200)
    until(lambda: site.inside.get(path) is None, "its Secret is gone", 60)
    until(lambda: user[0] not in site.redis(redis, "acl", "users"), "its user is gone", 60)
    assert site.redis(redis, "keys", f"RAY{own}@*") == ""


@THREE
def test_one_without_fault_tolerance_is_told_what_to_write(site: Site) -> None:
    rays = site.inside.get(f"{RAYS}/rays")
    assert rays is not None
    foreign = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "thief", "namespace": RAY_NAMESPACE},
        "spec": rays["spec"],
    }
    answer = site.inside.create(f"{RAYS}?dryRun=All", foreign)
    assert answer.status_code in (403, 422), answer.text
    assert credentials_name("RayCluster", "thief") in answer.text


@ONE
def test_a_virtual_cluster_whose_redis_is_down_goes_and_leaves_nothing(
    site: Site, platform: Local, figures: Figures
) -> None:
    """The last one here: it takes the virtual cluster away. KubeRay holds on to a deleted Ray cluster
    until a Job has removed its keys, which nothing answers for; what holds on goes with the namespace.
    """
    sets, redis = f"/apis/apps/v1/namespaces/vc-{NAME}/statefulsets", f"{HOST_PODS}/redis-0"
    site.stage.host.patch(f"{sets}/redis", {"spec": {"replicas": 0}})
    until(lambda: site.stage.host.get(redis) is None, "Redis is down", 90)
    rays = site.inside.get(f"{RAYS}/rays")
    assert rays is not None
    assert any("redis-cleanup" in one for one in rays["metadata"].get("finalizers", []))
    seconds = Clusters(platform, figures).remove(NAME)
    figures.note(f"delete with its own Redis down, nothing left: {seconds:.1f} s")
