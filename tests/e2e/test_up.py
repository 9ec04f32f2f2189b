"""`atoll up` on a real cluster: Ready, the word count is right, and a second time is safe.

The first time is asked for JSON, the second is a person's: what that one reads is held to what is so.
"""

import json

from builders.up_screen import Screen, demo_commands
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
    # The worker's own steps are told as they happen, each with its time.
    told = Screen.read("", ran.err).steps
    assert "Start the virtual control plane" in told, ran.err
    figures.note(f"atoll up from nothing to a checked word count: {ran.seconds:.1f} s")
    for line in ran.err.splitlines():
        figures.note(f"  {line}")


def test_it_was_made_of_the_bundle_with_no_other_network(local: Local) -> None:
    worker = local.environment_of("worker")
    assert worker["ATOLL_CHARTS"] == str(local.stage.bundle)
    # As the worker would fetch a chart that the bundle has not.
    elsewhere = ("pull", "vcluster", "--repo", "https://charts.example.com")
    refused = local.stage.run(worker["ATOLL_HELM"], *elsewhere, env=worker)
    assert refused.returncode != 0
    assert "proxyconnect" in refused.stderr, refused.stderr


def test_a_second_time_finds_it_all_there(local: Local, figures: Figures) -> None:
    with local.client() as client:
        before = client.virtual_clusters.get("demo")
    ran = local.up(demo=True, person=True)
    assert ran.code == 0, ran.err
    assert "all running" in ran.err, ran.err
    assert "Simulated:" not in ran.err
    screen = Screen.read(ran.out, ran.err)
    assert set(screen.closing) == {"portal", "api", "token", "kubeconfig", "logs"}
    address = json.loads((local.root / "runtime" / "api.json").read_text())["url"]
    assert screen.closing["portal"] == f"{address}/"
    assert screen.closing["token"] == (local.root / "admin-token").read_text().strip()
    assert screen.closing["kubeconfig"] == str(local.stage.kubeconfig.absolute())
    assert {"Queue (Redis)", "Virtual cluster demo", "Ray cluster demo"} <= set(screen.steps)
    assert screen.next == demo_commands(local.name)
    screen.opens()
    with local.client() as client:
        after = client.virtual_clusters.get("demo")
    assert (after.uid, after.generation) == (before.uid, before.generation)
    figures.note(f"atoll up again: {ran.seconds:.1f} s")
