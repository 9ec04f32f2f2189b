"""Ray clusters and Ray jobs on the wire."""

from typing import Any, Literal

from pydantic import Field

from atoll.resources.meta import Model
from atoll.resources.virtual_clusters import RayClusterSpec

JobStatus = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"]


class RayClusterCreate(RayClusterSpec):
    """A new Ray cluster, by hand (not kept by the virtual cluster's spec)."""


class RayClusterRead(Model):
    """A Ray cluster as it is."""

    name: str
    namespace: str
    state: str = Field(description="ready, pending, suspended, failed or deleting")
    message: str = ""
    ray_version: str = ""
    workers: int = 0
    ready_workers: int = 0
    fault_tolerant: bool = False
    created_at: str | None = None
    from_spec: bool = Field(False, description="Kept by the virtual cluster's spec")
    proxy: str = Field("", description="Path of the way to its dashboard and job API")


class RayJobCreate(Model):
    """A job for a running Ray cluster, as `ray job submit` would send it."""

    name: str = Field(description="Also Ray's submission id")
    cluster: str
    entrypoint: str
    runtime_env: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)


class RayJobRead(Model):
    """A job as Ray reports it. Times are RFC 3339."""

    name: str
    cluster: str
    status: JobStatus
    entrypoint: str
    message: str = ""
    started_at: str | None = None
    ended_at: str | None = None
