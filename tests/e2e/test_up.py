"""`atoll up` on a real cluster: Ready, the word count is right, and a second time is safe."""

import json

from e2e.figures import Figures
from e2e.local import Local


def test_reaches_ready_and_counts_words_right(local: Local, figures: Figures) -> None:
    ran = local.up(demo=True)
    assert ran.code == 0, ran.err
    # `atoll up` compares with plain Python itself; what it says must be there to be believed.
    assert "The same count in plain Python" in ran.err, ran.err
    answer = json.loads(ran.out)
    assert set(answer) == {"api", "token", "kubeconfig", "portal", "logs", "host"}
    assert answer["host"] == "kubeconfig"
    with local.client() as client:
        found = client.virtual_clusters.get("demo")
        assert found.status.phase == "Ready"
        assert [s.name for s in found.status.steps if s.state != "done"] == []
        ray = client.ray_clusters.get("demo", "demo")
        assert (ray.state, ray.ready_workers, ray.fault_tolerant) == ("ready", 2, True)
    figures.note(f"atoll up from nothing to a checked word count: {ran.seconds:.1f} s")
    for line in ran.err.splitlines():
        figures.note(f"  {line}")


def test_a_second_time_finds_it_all_there(local: Local, figures: Figures) -> None:
    with local.client() as client:
        before = client.virtual_clusters.get("demo")
    ran = local.up(demo=True)
    assert ran.code == 0, ran.err
    assert "all running" in ran.err, ran.err
    with local.client() as client:
        after = client.virtual_clusters.get("demo")
    assert (after.uid, after.generation) == (before.uid, before.generation)
    figures.note(f"atoll up again: {ran.seconds:.1f} s")
