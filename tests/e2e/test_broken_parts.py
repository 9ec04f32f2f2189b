"""Things break during a create: the queue is dead or wiped, helm is killed, the wish is taken back."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import redis

from e2e.clusters import Clusters, small_ray
from e2e.figures import Figures
from e2e.local import Local, tree
from waiting import until


def helm_process(root: int, release: str) -> int | None:
    """The helm that upgrades this release among what a worker has started."""
    for pid in tree(root):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            if words[0].endswith("helm") and "upgrade" in words and release in words:
                return pid
    return None


def pending(clusters: Clusters, name: str, release: str) -> bool:
    """Whether the newest revision of a release inside says that helm is at it."""
    config = clusters.stage.inside_config(name)
    if config is None:
        return False
    path = f"/api/v1/namespaces/atoll-system/secrets?labelSelector=owner%3Dhelm,name%3D{release}"
    found = clusters.stage.inside(name).items(path)
    states = [s["metadata"]["labels"]["status"] for s in found]
    return any(state.startswith("pending") for state in states)


def kill_helm_half_way(clusters: Clusters, platform: Local, name: str) -> str:
    """Kill -9 helm while its release inside is pending; which release it was."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        for release in ("volcano", "kuberay-operator"):
            pid = helm_process(platform.pid("worker"), release)
            if pid and pending(clusters, name, release):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    return release
        time.sleep(0.02)
    raise AssertionError("helm was never seen at a pending release")


def test_a_dead_and_a_wiped_queue_and_a_killed_helm(
    platform: Local, clusters: Clusters, figures: Figures
) -> None:
    broker = redis.Redis.from_url(platform.environment_of("worker")["ATOLL_BROKER_URL"])
    os.kill(platform.pid("redis"), signal.SIGKILL)
    began = time.monotonic()
    clusters.ask("wax", rays=[small_ray()])
    figures.note(f"create accepted with the queue dead: {time.monotonic() - began:.2f} s")
    with platform.client() as client:
        # What was seen within the last second is believed.
        until(lambda: not client.health().parts["queue"].ok, "health tells of the queue", 5)
        assert client.health().parts["kubernetes"].ok

    refused = platform.down()  # it would wait for a worker that hears nothing
    assert (refused.code, "redis does not run" in refused.err) == (1, True), refused.err
    assert "atoll up" in refused.err
    assert platform.up(demo=False).code == 0  # starts what is dead
    back = time.monotonic()
    clusters.until("wax", lambda vc: bool(vc.status.steps), "begun", 60)
    figures.note(f"work began {time.monotonic() - back:.1f} s after the queue was back")

    until(lambda: clusters.stage.host.get("/apis/apps/v1/namespaces/vc-wax/statefulsets/wax"),
          "the control plane is on its way", 90)  # fmt: skip
    broker.flushall()
    wiped = time.monotonic()
    release = kill_helm_half_way(clusters, platform, "wax")
    figures.note(
        f"went on after FLUSHALL; helm killed at {release}, {time.monotonic() - wiped:.1f} s later"
    )
    clusters.ready("wax")
    path = f"/api/v1/namespaces/atoll-system/secrets?labelSelector=owner%3Dhelm,name%3D{release}"
    revisions = clusters.stage.inside("wax").items(path)
    states = {
        s["metadata"]["labels"]["version"]: s["metadata"]["labels"]["status"] for s in revisions
    }
    assert len(states) >= 2, "the killed revision is kept, not uninstalled"
    assert states[max(states, key=int)] == "deployed"
    assert not [s for s in states.values() if s.startswith("pending")]
    broker.close()
    figures.note(f"delete of a ready virtual cluster, nothing left: {clusters.remove('wax'):.1f} s")


def test_delete_while_creating_leaves_nothing(clusters: Clusters, figures: Figures) -> None:
    clusters.ask("gnat", rays=[small_ray()])
    clusters.until(
        "gnat", lambda vc: any(s.name == "control-plane" and s.state == "running"
                               for s in vc.status.steps), "starting", 120,
    )  # fmt: skip
    figures.note(f"delete while creating, nothing left: {clusters.remove('gnat'):.1f} s")
