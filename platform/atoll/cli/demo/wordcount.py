"""Counts the words of the texts beside this file, by Ray tasks spread over the workers.

Prints one line of JSON: {"wordcount": {"files", "total", "distinct", "top", "nodes"}}.
"""

import json
import re
import sys
import time
from collections import Counter
from pathlib import Path

WORKERS = 2
PIECES = 8
PATIENCE = 120.0
WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


def count_words(texts: list[str]) -> Counter[str]:
    """How often each word is in the texts, whatever its case."""
    counter: Counter[str] = Counter()
    for text in texts:
        counter.update(WORD.findall(text.lower()))
    return counter


def main() -> int:
    """Count on the cluster; 0 when every worker had a share."""
    # Ray is there where the job runs, not where this module is read from.
    import ray  # type: ignore[import-not-found, unused-ignore] # noqa: PLC0415

    ray.init()
    workers = wait_for_workers(ray)

    @ray.remote(num_cpus=1, scheduling_strategy="SPREAD")  # type: ignore[untyped-decorator, unused-ignore]
    def share(texts: list[str]) -> tuple[str, Counter[str]]:
        # Long enough that one worker cannot do it all before the others have started.
        time.sleep(0.3)
        return ray.get_runtime_context().get_node_id(), count_words(texts)

    here = Path(__file__).parent
    texts = [path.read_text() for path in sorted(here.rglob("*.md"))]
    answers = ray.get([share.remote(texts[start::PIECES]) for start in range(PIECES)])
    total: Counter[str] = Counter()
    for _, counted in answers:
        total.update(counted)
    result = {
        "files": len(texts),
        "total": sum(total.values()),
        "distinct": len(total),
        "top": sorted(total.items(), key=lambda item: (-item[1], item[0]))[:10],
        "nodes": sorted({node for node, _ in answers}),
        "workers": sorted(workers & {node for node, _ in answers}),
    }
    print(json.dumps({"wordcount": result}), flush=True)
    return 0


def wait_for_workers(ray: object) -> set[str]:
    """Ids of the nodes that are not the head, once there are enough."""
    deadline = time.monotonic() + PATIENCE
    while True:
        alive = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[attr-defined]
        found = {n["NodeID"] for n in alive if "node:__internal_head__" not in n["Resources"]}
        if len(found) >= WORKERS:
            return found
        if time.monotonic() > deadline:
            sys.exit(f"{len(found)} of {WORKERS} Ray workers came within {PATIENCE:g} s")
        time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
