"""What a platform in the sandbox counts, and how much memory its host's processes hold."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from builders.sandbox_site import Site

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Counted:
    """One reading of a process's /metrics."""

    samples: dict[tuple[str, Labels], float]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum over all series of that name with these labels; 0 for what was never counted."""
        wanted = labels.items()
        return sum(v for (n, have), v in self.samples.items() if n == name and wanted <= have)


def counted(site: Site, process: str) -> Counted:
    """What the process counts, by the port file that it wrote."""
    url = json.loads((site.root / "runtime" / f"{process}.json").read_text())["url"]
    text = httpx2.get(f"{url}/metrics", timeout=30, trust_env=False).raise_for_status().text
    return Counted({
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text) for sample in family.samples
    })  # fmt: skip


def host_memory(site: Site) -> dict[int, int]:
    """pid -> proportional set size in bytes, of every process of the site's host."""
    mark = f"ATOLL_SANDBOX_ROOT={site.root / 'sandbox'}".encode()
    found: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it may end while we look
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = _proportional(entry)
    return found


def _proportional(process: Path) -> int:
    for line in (process / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def agent(site: Site) -> int:
    """The pid of what plays kubelet, vcluster, KubeRay and Volcano."""
    return int(json.loads((site.root / "sandbox" / "run" / "agent.json").read_text())["pid"])
