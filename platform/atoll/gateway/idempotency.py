"""Idempotency-Key on what is made inside a virtual cluster: the made object itself remembers the key.

A RayCluster carries it as a label and an annotation, a Ray job in its metadata; both are the hashes of
`atoll.application.idempotency`, so the key itself stands nowhere. Tokens are not kept, so POST
credentials has no keys: each request makes a new token.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from atoll.application.idempotency import ANNOTATION, LABEL, LIFETIME, Idempotency, idempotency
from atoll.contract.ray import RayClusterCreate, RayJobCreate
from atoll.gateway.callers import AskedVirtualCluster
from atoll.gateway.tenants import Object

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def use_of(
    key: str | None, asked: AskedVirtualCluster, body: RayClusterCreate | RayJobCreate
) -> Idempotency | None:
    """The use of this key for this body, or None without one. InvalidError on a key that is none."""
    noun = "ray-clusters" if isinstance(body, RayClusterCreate) else "ray-jobs"
    return idempotency(asked.caller, f"POST /v1/virtual-clusters/{asked.name}/{noun}", key, body)


def earlier_ray_cluster(use: Idempotency, found: list[Object]) -> Object | None:
    """Which of these RayClusters an earlier request with the key made.

    Raises InvalidError (code "idempotency_mismatch") when the earlier body was another.
    """
    for item in found:
        meta = item["metadata"]
        if (meta.get("labels") or {}).get(LABEL) != use.label:
            continue
        if datetime.now(UTC) - datetime.fromisoformat(meta["creationTimestamp"]) < LIFETIME:
            use.check((meta.get("annotations") or {}).get(ANNOTATION))
            return item
    return None


def earlier_job(use: Idempotency, found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The same for jobs as Ray's job API tells them; their times are milliseconds since 1970."""
    for job in found:
        metadata = job.get("metadata") or {}
        if metadata.get(LABEL) != use.label:
            continue
        begun = _EPOCH + timedelta(milliseconds=job.get("start_time") or 0)
        if datetime.now(UTC) - begun < LIFETIME:
            use.check(metadata.get(ANNOTATION))
            return job
    return None


def job_metadata(use: Idempotency | None, given: dict[str, str]) -> dict[str, str]:
    """The metadata of a job to be submitted, with what makes it remember the key."""
    return given | ({LABEL: use.label, ANNOTATION: use.fingerprint} if use else {})
