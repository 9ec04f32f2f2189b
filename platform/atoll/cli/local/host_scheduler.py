"""The gang scheduler that a worker installed on the host for shared virtual clusters."""

import asyncio
import os
from pathlib import Path

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import NAMESPACE
from atoll.domain.names import FIELD_MANAGER, HOST_SCHEDULER_NAMESPACE, LABEL_MANAGED
from atoll.errors import AtollError
from atoll.hosts.toolchain import Toolchain

_RELEASE = "volcano"
_TIMEOUT = "120s"


async def remove(kubeconfig: Path) -> str | None:
    """Uninstall it, if the namespace says that it is ours; what was removed, or None.

    An admin's own Volcano stays as it is. Raises AtollError with helm's words when helm fails.
    """
    async with Cluster.from_file(kubeconfig) as cluster:
        found = await cluster.find(NAMESPACE, HOST_SCHEDULER_NAMESPACE)
        labels = (found or {}).get("metadata", {}).get("labels", {})
        if labels.get(LABEL_MANAGED) != FIELD_MANAGER:
            return None
        await _uninstall(kubeconfig)
        await cluster.delete(NAMESPACE, HOST_SCHEDULER_NAMESPACE)
    return f"Volcano in namespace {HOST_SCHEDULER_NAMESPACE}"


async def _uninstall(kubeconfig: Path) -> None:
    helm = Toolchain().path("helm")
    process = await asyncio.create_subprocess_exec(
        str(helm), "uninstall", _RELEASE, "--namespace", HOST_SCHEDULER_NAMESPACE,
        "--ignore-not-found", "--timeout", _TIMEOUT,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    if process.returncode:
        raise AtollError(
            f"helm could not uninstall Volcano from {HOST_SCHEDULER_NAMESPACE}: "
            f"{said.decode(errors='replace').strip()[-300:]}",
            code="helm_failed",
        )
