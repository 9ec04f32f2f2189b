"""The demonstration's job: a word count of the repository's docs, checked against plain Python."""

import json
import re
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import atoll
from atoll.cli.demo import wordcount
from atoll.cli.local.demo_cluster import NAME, WORKERS
from atoll.cli.local.steps import Steps
from atoll.cli.ray_jobs import new_name, watch
from atoll.cli.session import Session
from atoll.contract.ray import RayJobCreate
from atoll.errors import AtollError


@dataclass(frozen=True)
class Count:
    """What a word count found."""

    files: int
    total: int
    distinct: int
    top: list[tuple[str, int]]


def run(session: Session, steps: Steps, timeout: float) -> Count:
    """Submit the job, show its result, compare. AtollError when anything is not as it must be."""
    texts = documents()
    with tempfile.TemporaryDirectory(prefix="atoll-demo-") as folder:
        root = Path(folder)
        for number, path in enumerate(texts):
            shutil.copyfile(path, root / f"{number:03}-{path.name}")
        shutil.copyfile(Path(wordcount.__file__), root / "wordcount.py")
        package, _ = session.client.ray_clusters.send_folder(NAME, NAME, root)
    new = RayJobCreate(
        name=new_name(), cluster=NAME, entrypoint="python wordcount.py",
        runtime_env={"working_dir": package.uri},
    )  # fmt: skip
    began = time.monotonic()
    with steps.step(f"Word count as Ray job {new.name}") as note:
        session.client.ray_jobs.submit(NAME, new)
        log = StringIO()
        job = watch(session, NAME, new.name, timeout, log)
        if job.status != "SUCCEEDED":
            tail = "\n".join(log.getvalue().splitlines()[-10:])
            raise AtollError(
                f"The job ended as {job.status}: {job.message}\n{tail}", code="job_failed",
                extra={"next": f"atoll job logs {new.name} --vc {NAME}"},
            )  # fmt: skip
        found, workers = parse(log.getvalue())
        note(f"{workers} workers")
    _show(session, found, time.monotonic() - began)
    with steps.step("The same count in plain Python"):
        compare(found, plain(texts))
    return found


def documents() -> list[Path]:
    """The repository's README and docs. AtollError where there is no repository around."""
    root = Path(atoll.__file__).parents[2]
    found = [*sorted((root / "docs").rglob("*.md")), *root.glob("README.md")]
    if not found:
        raise AtollError(
            f"There are no docs in {root} to count words of; run atoll up from a checkout.",
            extra={"next": "atoll up --no-demo"},
        )
    return found


def parse(log: str) -> tuple[Count, int]:
    """The job's result from its log, and how many workers took part. AtollError without one."""
    lines = [line for line in log.splitlines() if line.startswith('{"wordcount"')]
    if not lines:
        raise AtollError(f"The job printed no result. Its log ends:\n{log[-500:]}")
    body: dict[str, Any] = json.loads(lines[-1])["wordcount"]
    if len(body["workers"]) < WORKERS:
        raise AtollError(
            f"{len(body['workers'])} of {WORKERS} Ray workers took part in the job; its tasks ran "
            f"on the nodes {', '.join(body['nodes'])}."
        )
    top = [(str(word), int(times)) for word, times in body["top"]]
    return Count(body["files"], body["total"], body["distinct"], top), len(body["workers"])


def plain(texts: list[Path]) -> Count:
    """The same count by this process alone, in another way."""
    counted = Counter(
        found.group()
        for path in texts
        for found in re.finditer(r"[a-z0-9]+(?:'[a-z]+)?", path.read_text().lower())
    )
    top = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:10]
    return Count(len(texts), counted.total(), len(counted), top)


def compare(cluster: Count, here: Count) -> None:
    """AtollError that names what differs."""
    for field in ("files", "total", "distinct", "top"):
        ours, theirs = getattr(here, field), getattr(cluster, field)
        if ours != theirs:
            raise AtollError(
                f"The job's result is wrong: {field} is {theirs} on the cluster, {ours} here.",
                code="wrong_result",
            )


def _show(session: Session, found: Count, seconds: float) -> None:
    top = ", ".join(f"{word} {times}" for word, times in found.top)
    session.say(
        f"         {found.total} words, {found.distinct} different, in {found.files} files "
        f"({seconds:.1f} s)"
    )
    session.say(f"         most frequent: {top}")
