# ruff: noqa: T201 - a bench prints
"""Request to a ready Ray cluster: Atoll against plain helm and kubectl, alternating in one run.

Usage: python -m bench.provision --kubeconfig FILE [--bundle FOLDER] [--pairs 3]
Needs a cluster that has the bundle's images on its nodes; starts and removes a platform of its own.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.provision.atoll_side import AtollSide
from bench.provision.idle import report as idle_report
from bench.provision.plain import Plain

from atoll.client import Atoll
from atoll.resources.meta import Metadata
from atoll.resources.profiles import Profile
from atoll.resources.virtual_clusters import RayClusterSpec, VirtualClusterSpec

GOAL = 0.80
NAME = "bench"
NODE_LABEL = "atoll.dev/node-template"


def main() -> int:
    """Exit code 0 when the ratio of the medians is at most the goal."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="atoll-bench-") as folder:
        home = Path(folder)
        env = {**os.environ, "ATOLL_HOME": str(home / "home"), "ATOLL_BUNDLE": str(options.bundle),
               "XDG_CONFIG_HOME": str(home / "config"), "KUBECONFIG": str(options.kubeconfig)}  # fmt: skip
        try:
            _atoll(env, "up", "--host", "kubeconfig", "--no-demo", "-o", "json")
            return _run(options, home, env)
        finally:
            _atoll(env, "down")


def _run(options: argparse.Namespace, home: Path, env: dict[str, str]) -> int:
    root = home / "home" / NAME
    address = json.loads((root / "runtime" / "api.json").read_text())["url"]
    node, template = _node(options)
    with Atoll(address, (root / "admin-token").read_text().strip()) as client:
        shape = {"name": "rays", "workers": 1, "head_cpu": "500m", "head_memory": "1Gi",
                 "worker_cpu": "500m", "worker_memory": "1Gi"}  # fmt: skip
        spec = VirtualClusterSpec(
            team=NAME, replica_sets={template: 1}, quota={"cpu": "2", "memory": "6Gi"},
            ray_clusters=[RayClusterSpec.model_validate(shape)],
        )  # fmt: skip
        found = client.profiles.get("default")
        profile = Profile(metadata=Metadata(name=found.name), spec=found.spec)
        folder = home / "plain"
        folder.mkdir()
        programs = {"HELM": options.helm, "KUBECTL": options.kubectl,
                    "KUBECONFIG": str(options.kubeconfig)}  # fmt: skip
        plain = Plain(folder, options.bundle, profile, spec, NAME, node, programs)
        ratio = _alternate(AtollSide(client, spec, NAME), plain, options, root)
        client.teams.delete(NAME)
        # Last, because a process that has worked holds more than one that was just started.
        print(idle_report(root, options, "no virtual cluster any more"), flush=True)
    return 0 if ratio <= GOAL else 1


def _alternate(ours: AtollSide, theirs: Plain, options: argparse.Namespace, root: Path) -> float:
    seconds: dict[str, list[float]] = {"atoll": [], "plain": []}
    for number in range(options.pairs):
        for label, side in (("atoll", ours), ("plain", theirs)):
            try:
                took, steps = side.up()
                seconds[label].append(took)
                words = ", ".join(f"{name} {at:.1f}" for name, at in steps.items())
                print(f"run {number + 1} {label:5} {took:6.1f} s   ({words})", flush=True)
                if number == 0 and label == "atoll":
                    print(idle_report(root, options, "one virtual cluster"), flush=True)
            finally:
                side.down()
    medians = {label: statistics.median(values) for label, values in seconds.items()}
    ratio = medians["atoll"] / medians["plain"]
    print(f"medians: atoll {medians['atoll']:.1f} s, plain {medians['plain']:.1f} s; "
          f"ratio {ratio:.2f} (goal {GOAL:.2f})", flush=True)  # fmt: skip
    return ratio


def _node(options: argparse.Namespace) -> tuple[str, str]:
    """The first node that has a template, and the template."""
    done = subprocess.run(
        [options.kubectl, "--kubeconfig", str(options.kubeconfig), "get", "nodes", "-o", "json",
         "-l", NODE_LABEL], capture_output=True, text=True, check=True,
    )  # fmt: skip
    nodes = json.loads(done.stdout)["items"]
    if not nodes:
        raise SystemExit(f"no node has the label {NODE_LABEL}")
    meta = nodes[0]["metadata"]
    return meta["name"], meta["labels"][NODE_LABEL]


def _atoll(env: dict[str, str], *arguments: str) -> None:
    program = str(Path(sys.executable).with_name("atoll"))
    done = subprocess.run(
        [program, *arguments, "--name", NAME], env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"atoll {arguments[0]} failed:\n{done.stderr}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.provision", description=__doc__)
    cache = Path(os.environ.get("ATOLL_CACHE") or Path.home() / ".cache" / "atoll")
    parser.add_argument("--kubeconfig", type=Path, default=os.environ.get("KUBECONFIG"))
    parser.add_argument(
        "--bundle", type=Path, default=os.environ.get("ATOLL_BUNDLE", cache / "bundle")
    )
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--helm", default=str(cache / "bin" / "helm"))
    parser.add_argument("--kubectl", default="kubectl")
    options = parser.parse_args()
    if not options.kubeconfig:
        parser.error("--kubeconfig FILE or KUBECONFIG is needed")
    return options


if __name__ == "__main__":
    sys.exit(main())
