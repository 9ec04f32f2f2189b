"""What the platform costs while nothing happens: memory, CPU, requests to the host's API server."""

import argparse
import json
import os
import re
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PROCESSES = ("api", "worker", "follower", "keeper")
"""Those of the goal; the gateway and the queue's Redis are told apart."""
WINDOW_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


def report(root: Path, options: argparse.Namespace, when: str) -> str:
    """A table for people. The platform is stopped for half a minute to count requests without it."""
    trees = {name: tree(_pid(root, name)) for name in (*PROCESSES, "gateway", "redis")}
    # What the keeper has started anew are children of its own, and counted under their names.
    trees["keeper"] = [_pid(root, "keeper")]
    time.sleep(5)
    with_us, spent = _window(options, trees)
    everything = [pid for pids in trees.values() for pid in pids]
    _signal(everything, signal.SIGSTOP)
    try:
        without, _ = _window(options, trees)
    finally:
        _signal(everything, signal.SIGCONT)
    lines = [f"idle, {when}:"]
    for name, pids in trees.items():
        lines.append(
            f"  {name:8} {_mib(pids):6.1f} MiB PSS  {spent[name]:5.2f} % of a core  "
            f"({len(pids)} processes)"
        )
    counted = [name for name in trees if name in PROCESSES]
    memory = sum(_mib(trees[name]) for name in counted)
    cpu = sum(spent[name] for name in counted)
    lines.append(f"  {' + '.join(counted)}: {memory:.1f} MiB (goal 250), {cpu:.2f} % (goal 1)")
    lines.append(
        f"  requests to the host's API server: {with_us:.2f}/s with, {without:.2f}/s without us: "
        f"{max(with_us - without, 0):.2f}/s are ours"
    )
    return "\n".join(lines)


def _window(
    options: argparse.Namespace, trees: dict[str, list[int]]
) -> tuple[float, dict[str, float]]:
    """Requests per second and CPU per process group (percent of a core) over the window."""
    before = {name: _ticks(pids) for name, pids in trees.items()}
    requests, began = _requests(options), time.monotonic()
    time.sleep(WINDOW_SECONDS)
    after = {name: _ticks(pids) for name, pids in trees.items()}
    took = time.monotonic() - began
    rate = (_requests(options) - requests) / took
    spent = {name: (after[name] - before[name]) / _TICKS / took * 100 for name in trees}
    return rate, spent


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        here = todo.pop()
        found.append(here)
        todo += children.get(here, [])
    return found


def _pid(root: Path, name: str) -> int:
    found: int = json.loads((root / "run" / f"{name}.json").read_text())["pid"]
    return found


def _mib(pids: list[int]) -> float:
    """Proportional set size: shared pages count once for all who share them."""
    total = 0
    for pid in pids:
        with suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]
    return total / 1024


def _ticks(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total


def _requests(options: argparse.Namespace) -> float:
    done = subprocess.run(
        [options.kubectl, "--kubeconfig", str(options.kubeconfig), "get", "--raw", "/metrics"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = (li for li in done.stdout.splitlines() if li.startswith("apiserver_request_total{"))
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def _signal(pids: list[int], what: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, what)
