"""Helm releases: read from their storage Secrets, changed through pyhelm3."""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pyhelm3 import Chart as HelmChart
from pyhelm3 import ChartMetadata, Client, errors

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import SECRET, Kind
from atoll.errors import PermanentError, TemporaryError
from atoll.resources.profiles import Chart
from atoll_worker.adapters import definitions
from atoll_worker.adapters.charts import archive
from atoll_worker.adapters.command import AnotherOperationError, ExecCommand
from atoll_worker.reconcile.ports import Release

HELM_TIMEOUT = "120s"
"""How long helm itself may try; we never let it wait for readiness, so this bounds API trouble only."""

_PERMANENT: tuple[tuple[type[errors.Error], str], ...] = (
    (errors.FailedToRenderChartError, "ChartRefusedValues"),
    (errors.InvalidResourceError, "ChartMadeInvalidObject"),
    (errors.ChartNotFoundError, "ChartMissing"),
)


def canonical_hash(values: Mapping[str, Any]) -> str:
    """A hash of values that does not depend on key order; the fence in them does not count."""
    counted = {key: value for key, value in values.items() if key != "fence"}
    text = json.dumps(counted, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def decode(secret: Object) -> dict[str, Any]:
    """The release record in a storage Secret: base64 of (base64 of gzip of JSON)."""
    blob = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    record: dict[str, Any] = json.loads(gzip.decompress(blob))
    return record


def encode(record: Mapping[str, Any]) -> str:
    """The inverse of `decode`, for data.release."""
    packed = gzip.compress(json.dumps(record).encode(), mtime=0)
    return base64.b64encode(base64.b64encode(packed)).decode()


def read(release: str, secret: Object) -> Release:
    """What we ask of a release, from the Secret of its record."""
    record = decode(secret)
    config = record.get("config") or {}
    return Release(
        name=release,
        revision=int(record["version"]),
        status=str(record["info"]["status"]),
        chart_version=str(record["chart"]["metadata"]["version"]),
        values_hash=canonical_hash(config),
        fence=int(config.get("fence") or 0),
    )


_READ: dict[tuple[str, ...], Release] = {}
"""Releases by `_key` of their record; a virtual cluster has five."""
_MOST_READ = 10_000


def _key(meta: Object) -> tuple[str, ...]:
    """Of one state of a record. Versions come again after a restore from a backup; with the status
    and the revision beside them they mean the same.
    """
    labels = meta["labels"]
    return meta["uid"], meta["resourceVersion"], labels["version"], labels["status"]


class HelmReleases:
    """The port `Releases` by pyhelm3 and the helm executable."""

    def __init__(self, executable: str, bundle: Path | None) -> None:
        self._executable, self._bundle = executable, bundle

    def values_hash(self, values: Mapping[str, Any]) -> str:
        """See `Releases`."""
        return canonical_hash(values)

    async def find(self, cluster: Cluster, release: str, namespace: str) -> Release | None:
        """See `Releases`. A record holds the whole chart, so the same one is read once."""
        newest = await self._newest(cluster, release, namespace)
        if newest is None:
            return None
        known = _READ.get(_key(newest))
        if known:
            return known
        secret = await cluster.find(SECRET, newest["name"], namespace)
        if secret is None:
            raise TemporaryError(
                f"The newest record of release {release} went while it was read; it is looked for again",
                reason="HelmBusy", delay=0.5,
            )  # fmt: skip
        if len(_READ) >= _MOST_READ:
            _READ.clear()
        _READ[_key(secret["metadata"])] = found = read(release, secret)
        return found

    async def _newest(self, cluster: Cluster, release: str, namespace: str) -> Object | None:
        """The metadata of the Secret with the newest revision."""
        found = await cluster.metadata(SECRET, namespace, {"owner": "helm", "name": release})
        return max(found, key=lambda meta: int(meta["labels"]["version"]), default=None)

    async def _newest_secret(self, cluster: Cluster, release: str, namespace: str) -> Object | None:
        newest = await self._newest(cluster, release, namespace)
        return await cluster.find(SECRET, newest["name"], namespace) if newest else None

    async def unlock(self, cluster: Cluster, release: str, namespace: str) -> None:
        """Mark a pending revision failed, so that the next upgrade goes on from it.

        Safe only for the holder of the lease: no other helm can be at this release, and one of ours
        that died was killed with its worker. The release is never uninstalled for it.
        """
        secret = await self._newest_secret(cluster, release, namespace)
        if secret is None:
            return
        record = decode(secret)
        record["info"]["status"] = "failed"
        record["info"]["description"] = "The helm process died; unlocked by atoll"
        secret["metadata"]["labels"]["status"] = "failed"
        secret["data"]["release"] = encode(record)
        await cluster.replace(secret)

    async def install(
        self,
        cluster: Cluster,
        kubeconfig: Path | None,
        release: str,
        namespace: str,
        chart: Chart | Path,
        values: Mapping[str, Any],
        awaits: Sequence[Kind] = (),
    ) -> None:
        """See `Releases`. Raises PermanentError (with helm's words) or TemporaryError."""
        current = await self.find(cluster, release, namespace)
        if current and current.pending:
            await self.unlock(cluster, release, namespace)
        path = (
            chart
            if isinstance(chart, Path)
            else await archive(chart, self._bundle, self._executable)
        )
        defined = path.is_file() and await definitions.place(cluster, path)
        await definitions.until_served(cluster, awaits)
        command = self._command(kubeconfig)
        client = Client(command, executable=self._executable)
        try:
            await client.install_or_upgrade_release(
                release,
                HelmChart(command, ref=path, metadata=_metadata(chart)),
                dict(values),
                namespace=namespace,
                create_namespace=True,
                force_conflicts=True,
                reset_values=True,
                skip_crds=defined,
                timeout=HELM_TIMEOUT,
            )
        except errors.Error as error:
            raise _translated(error, f"helm upgrade of {release}") from error

    def _command(self, kubeconfig: Path | None) -> ExecCommand:
        return ExecCommand(executable=self._executable, kubeconfig=kubeconfig)

    async def uninstall(
        self, cluster: Cluster, kubeconfig: Path | None, release: str, namespace: str
    ) -> None:
        """See `Releases`."""
        current = await self.find(cluster, release, namespace)
        if current is None:
            return
        if current.pending:
            await self.unlock(cluster, release, namespace)
        client = Client(self._command(kubeconfig), executable=self._executable)
        try:
            await client.uninstall_release(release, namespace=namespace, timeout=HELM_TIMEOUT)
        except errors.Error as error:
            raise _translated(error, f"helm uninstall of {release}") from error


def _metadata(chart: Chart | Path) -> ChartMetadata:
    """What the profile or Chart.yaml says; `helm show chart` would be one more process per release."""
    if isinstance(chart, Path):
        return ChartMetadata.model_validate(yaml.safe_load((chart / "Chart.yaml").read_text()))
    return ChartMetadata(apiVersion="v2", name=chart.name, version=chart.version)


def _translated(error: errors.Error, what: str) -> PermanentError | TemporaryError:
    words = _first_words(error)
    for kind, reason in _PERMANENT:
        if isinstance(error, kind):
            return PermanentError(f"{what}: {words}", reason=reason, who="admin")
    reason = "HelmBusy" if isinstance(error, AnotherOperationError) else "HelmFailed"
    return TemporaryError(f"{what}: {words}", reason=reason, delay=3)


def _first_words(error: errors.Error) -> str:
    """Helm's own error line, shortened; charts get no secrets from us, so it holds none."""
    text = error.stderr.decode(errors="replace") if getattr(error, "stderr", None) else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    begin = next((i for i, line in enumerate(lines) if line.lower().startswith("error")), 0)
    return " ".join(lines[begin : begin + 6])[:500] or type(error).__name__
