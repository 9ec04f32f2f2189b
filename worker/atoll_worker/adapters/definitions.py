"""The CustomResourceDefinitions of a chart, brought to its version before helm runs.

Helm creates what is in `crds/` once and never changes it, so a newer operator would meet the fields of the
older one. And it parses what it sends: with KubeRay's four megabytes that is most of an install.
"""

import asyncio
import re
import tarfile
from pathlib import Path

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import CRD
from atoll.errors import PermanentError

_PLACE = re.compile(r"[^/]+/(charts/[^/]+/)*crds/.+\.ya?ml")
_SEPARATOR = re.compile(rb"^---[ \t]*$", re.MULTILINE)
_NAME = re.compile(rb"^metadata:\n(?:[ #].*\n)*?  name: *[\"']?([a-z0-9.-]+)", re.MULTILINE)


def definitions(archive: Path) -> dict[str, bytes]:
    """Name -> YAML document, of every CustomResourceDefinition in the `crds/` of a chart's archive."""
    found: dict[str, bytes] = {}
    with tarfile.open(archive) as chart:
        for member in chart:
            source = chart.extractfile(member) if _PLACE.fullmatch(member.name) else None
            for document in _SEPARATOR.split(source.read()) if source else []:
                if b"kind:" in document:
                    found[_name(document, archive.name, member.name)] = document
    return found


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
    """Apply them all; whether there were any. Served by the API server a moment later."""
    found = definitions(archive)
    await asyncio.gather(*(cluster.apply_document(CRD, *entry) for entry in found.items()))
    return bool(found)
