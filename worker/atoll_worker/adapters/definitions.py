"""The CustomResourceDefinitions of a chart, brought to its version before helm runs.

Helm creates what is in `crds/` once and never changes it, so a newer operator would meet the fields of the
older one. And it parses what it sends: with KubeRay's four megabytes that is most of an install.
"""

import asyncio
import contextlib
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import CRD, Kind
from atoll.errors import NotFoundError, PermanentError

SERVED_SECONDS = 30.0
_PLACE = re.compile(r"[^/]+/(charts/[^/]+/)*crds/.+\.ya?ml")
_SEPARATOR = re.compile(rb"^---[ \t]*$", re.MULTILINE)
_AFTER_VERSIONS = re.compile(rb"^(?! {2}- | {3}|[ ]*$)", re.MULTILINE)
_VERSION = re.compile(rb"^  - (?:.*\n?)(?:^(?!  - ).*\n?)*", re.MULTILINE)
_DEPRECATED = re.compile(rb"^(?:  - |    )deprecated: true$", re.MULTILINE)
_STORED_ONLY = ".ray.io"
"""Definitions of this group: their operator works with the version that is stored, and with no other."""
_NOT_STORED = re.compile(rb"^(?:  - |    )storage: false$", re.MULTILINE)
_NAME = re.compile(rb"^metadata:\n(?:[ #].*\n)*?  name: *[\"']?([a-z0-9.-]+)", re.MULTILINE)


def definitions(archive: Path) -> dict[str, bytes]:
    """Name -> YAML document, of every CustomResourceDefinition in the `crds/` of a chart's archive.

    Of KubeRay's, versions that their maker calls deprecated are left out (`_current`).
    """
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as chart:
        for member in chart:
            source = chart.extractfile(member) if _PLACE.fullmatch(member.name) else None
            for document in _SEPARATOR.split(source.read()) if source else []:
                if b"kind:" in document:
                    name = _name(document, archive.name, member.name)
                    found[name] = _current(document) if name.endswith(_STORED_ONLY) else document
    return found


def _current(document: bytes) -> bytes:
    """Without the versions that are deprecated and not stored.

    Each version is a schema of its own, which the API server compiles, publishes and keeps in memory:
    KubeRay's v1alpha1 doubles what its definitions cost. Text, as `controller-gen` and helm write it; of
    another form nothing is left out.
    """
    head, found, rest = document.partition(b"\n  versions:\n")
    end = _AFTER_VERSIONS.search(rest)
    last = end.start() if end else len(rest)
    versions = _VERSION.findall(rest[:last])
    kept = [one for one in versions if not (_DEPRECATED.search(one) and _NOT_STORED.search(one))]
    if b"".join(versions) != rest[:last] or not kept:
        return document
    return head + found + b"".join(kept) + rest[last:]


def _name(document: bytes, archive: str, file: str) -> str:
    """Read without parsing the whole, for the server parses it anyway."""
    name = _NAME.search(document)
    if name is None or b"kind: CustomResourceDefinition" not in document:
        raise PermanentError(
            f"{file} in {archive} is not a CustomResourceDefinition with a name. Choose a chart whose "
            "crds/ holds nothing else, in the profile.",
            reason="ChartMadeInvalidObject",
            who="admin",
        )
    return name[1].decode()


async def place(cluster: Cluster, archive: Path) -> bool:
    """Apply them all and wait until they are served; whether there were any."""
    found = definitions(archive)
    await asyncio.gather(*(cluster.apply_document(CRD, *entry) for entry in found.items()))
    await _until_listed(cluster, set(found))
    return bool(found)


async def until_served(cluster: Cluster, kinds: Sequence[Kind]) -> None:
    """Wait until kinds that another release brings are served; those of the core always are."""
    await _until_listed(cluster, {f"{kind.plural}.{kind.group}" for kind in kinds if kind.group})


async def _until_listed(cluster: Cluster, names: set[str]) -> None:
    """Wait until discovery lists every `<plural>.<group>`, for SERVED_SECONDS at most.

    An operator that starts before a kind it watches is served asks for it again ten seconds later
    (controller-runtime). After that time it may as well: the release goes on.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SERVED_SECONDS):
            while True:
                if names <= await _listed(cluster, {name.partition(".")[2] for name in names}):
                    break
                await asyncio.sleep(0.2)


async def _listed(cluster: Cluster, groups: set[str]) -> set[str]:
    """`<plural>.<group>` of every resource that discovery lists in these groups."""
    listed: set[str] = set()
    for group in groups:
        with contextlib.suppress(NotFoundError):
            about = (await cluster.request("GET", f"apis/{group}")).json()
            for version in about["versions"]:
                path = f"apis/{version['groupVersion']}"
                resources = (await cluster.request("GET", path)).json()["resources"]
                listed |= {f"{resource['name']}.{group}" for resource in resources}
    return listed
