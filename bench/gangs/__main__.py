# ruff: noqa: T201 - a bench prints
"""Zero partial gangs: the real Volcano over KWOK nodes, asked for 150 % of what its queue may hold.

Usage: python -m bench.gangs [--gangs 10000] [--room 200] [--demand 1.5] [--bundle FOLDER]
Exit code 0 when every gang ran whole and the queue never held more than its capability.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
from pathlib import Path

from bench.gangs.load import Figures, Load
from bench.gangs.volcano import NoVolcanoError, Volcano, definitions

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import POD_GROUP, QUEUE
from atoll.errors import AtollError
from atoll.hosts.sandbox import Sandbox

NODES = {"16c64g": 8}


def main() -> int:
    """Run it and print the figures."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="atoll-gangs-") as folder:
        place = Path(folder)
        sandbox = Sandbox("gangs", place / "sandbox")
        try:
            kubeconfig = sandbox.up(NODES).kubeconfig
            _end_agent(place / "sandbox")
            figures = asyncio.run(run(kubeconfig, place, options))
        except NoVolcanoError as error:
            print(f"skipped: {error}")
            return 2
        finally:
            sandbox.down()
    return report(figures, options)


def _end_agent(root: Path) -> None:
    """What plays virtual clusters and Ray has nothing to do here, and would follow every pod."""
    pid = json.loads((root / "run" / "agent.json").read_text())["pid"]
    os.kill(pid, signal.SIGTERM)


async def run(kubeconfig: Path, place: Path, options: argparse.Namespace) -> Figures:
    """Volcano's kinds, its two programs, and the load."""
    async with Cluster.from_file(kubeconfig) as cluster:
        for definition in definitions(options.bundle):
            await cluster.apply(definition)
        for kind in (QUEUE, POD_GROUP):
            await _served(cluster, kind)
        with Volcano(options.bundle, kubeconfig, place) as volcano:
            await asyncio.sleep(2)
            volcano.check()
            load = Load(cluster, total=options.gangs, room=options.room, demand=options.demand)
            return await load.go()


async def _served(cluster: Cluster, kind: object) -> None:
    for _ in range(100):
        try:
            await cluster.items(kind)  # type: ignore[arg-type]
            return
        except AtollError:
            await asyncio.sleep(0.1)


def report(figures: Figures, options: argparse.Namespace) -> int:
    """The figures in words; 0 when they are good."""
    waits = sorted(figures.waits) or [0.0]
    print(f"gangs asked for   {figures.gangs} of 2-20 pods, {figures.pods} pods")
    print(
        f"gangs that ran    {len(figures.waits)}, {len(figures.waits) / figures.seconds:.1f} a second"
    )
    print(f"partial gangs     {len(figures.partial)} {', '.join(figures.partial[:9])}")
    print(
        f"binding of a gang at most {figures.longest_partial:.2f} s from its first to its last pod"
    )
    print(f"most held at once {figures.most_bound} pods, capability {options.room}")
    print(f"wait              median {statistics.median(waits):.1f} s, longest {waits[-1]:.1f} s")
    whole = len(figures.waits) == options.gangs and not figures.partial
    return 0 if whole and figures.most_bound <= options.room else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gangs", type=int, default=10_000)
    parser.add_argument("--room", type=int, default=200, help="pods that the queue may hold")
    parser.add_argument("--demand", type=float, default=1.5, help="asked for, as a share of it")
    bundle = Path.home() / ".cache" / "atoll" / "bundle"
    parser.add_argument("--bundle", type=Path, default=bundle)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
