"""Stand-in for KubeRay's RayJobs: a RayCluster, a submission through Ray's job API, its outcome."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import Any

import httpx2
import yaml

from atoll.hosts.sandbox.agent.endpoints import PORTS
from atoll.hosts.sandbox.agent.informer import Informer, Key, Reconciler, key_of
from atoll.hosts.sandbox.agent.raypods import group_name, head_service_name, owner
from atoll.hosts.sandbox.agent.world import Site
from atoll.hosts.sandbox.kube import RAY_CLUSTER, RAY_JOB, Obj
from atoll.hosts.sandbox.objects import now

_POLL_SECONDS = 1.0
_ENDED = ("Complete", "Failed", "ValidationFailed")


class RayJobs:
    """The RayJob controller of one operator."""

    def __init__(self, site: Site, clusters: Informer, scheduler: str) -> None:
        self._site, self._clusters, self._scheduler = site, clusters, scheduler
        self.jobs = Informer(site.kube, RAY_JOB)
        self.queue = Reconciler("RayJob", self._look)
        self._http = httpx2.AsyncClient(trust_env=False, timeout=10)

    def begin(self) -> None:
        """Start to hear of changes."""
        self.jobs.subscribe(lambda job: self.queue.add(key_of(job)))

    async def _look(self, key: Key) -> float | None:
        job = self.jobs.get(*key)
        if job is None or job["metadata"].get("deletionTimestamp"):
            return None
        status = dict(job.get("status") or {})
        state = status.get("jobDeploymentStatus", "")
        if job["spec"].get("suspend"):
            return await self._suspend(job, status)
        if state in _ENDED:
            await self._shut_down(job, status)
            return None
        if state in ("", "Suspended") or "rayClusterName" not in status:
            return await self._begin_job(job, status)
        return await self._advance(job, status)

    async def _begin_job(self, job: Obj, status: Obj) -> float | None:
        selector = job["spec"].get("clusterSelector")
        if selector and self._scheduler == "volcano":
            await self._site.event(job, "FailedToCreatePodGroup", "rayClusterSpec is not set")
            return 10.0
        name = job["metadata"]["name"]
        cluster = (selector or {}).get("ray.io/cluster") or f"{name}-{secrets.token_hex(3)[:5]}"
        status |= {
            "jobId": f"{name}-{secrets.token_hex(3)[:5]}",
            "rayClusterName": cluster,
            "jobDeploymentStatus": "Initializing",
            "jobStatus": "",
            "startTime": now(),
            "observedGeneration": job["metadata"]["generation"],
        }
        # The name is written first, so that a crash does not leave a second cluster behind.
        await self._write(job, status)
        return 0.1

    async def _advance(self, job: Obj, status: Obj) -> float | None:
        namespace = job["metadata"]["namespace"]
        cluster = self._clusters.get(namespace, status["rayClusterName"])
        if cluster is None:
            if job["spec"].get("clusterSelector"):
                return 2.0
            made = _cluster(job, status["rayClusterName"], self._scheduler)
            await self._site.kube.ensure(RAY_CLUSTER, made)
            return _POLL_SECONDS
        status["rayClusterStatus"] = cluster.get("status") or {}
        if (cluster.get("status") or {}).get("state") != "ready":
            return _POLL_SECONDS
        url = self._dashboard(namespace, status["rayClusterName"])
        if url is None:
            return _POLL_SECONDS
        status["dashboardURL"] = f"{head_service_name(status['rayClusterName'])}.{namespace}:8265"
        found = await self._submitted(url, status["jobId"]) or await self._submit(url, job, status)
        return await self._record(job, status, found)

    def _dashboard(self, namespace: str, cluster: str) -> str | None:
        service = self._site.services.get(namespace, head_service_name(cluster))
        notes = ((service or {}).get("metadata") or {}).get("annotations") or {}
        address = json.loads(notes.get(PORTS, "{}")).get("8265")
        return f"http://{address}" if address else None

    async def _submitted(self, url: str, job_id: str) -> Obj | None:
        answer = await self._http.get(f"{url}/api/jobs/{job_id}")
        return dict(answer.json()) if answer.status_code == 200 else None

    async def _submit(self, url: str, job: Obj, status: Obj) -> Obj:
        spec = job["spec"]
        body: dict[str, Any] = {"entrypoint": spec["entrypoint"], "submission_id": status["jobId"]}
        if spec.get("runtimeEnvYAML"):
            body["runtime_env"] = yaml.safe_load(spec["runtimeEnvYAML"])
        if spec.get("metadata"):
            body["metadata"] = spec["metadata"]
        for field in ("entrypointNumCpus", "entrypointNumGpus"):
            if spec.get(field):
                name = "entrypoint_num_" + field.removeprefix("entrypointNum").lower()
                body[name] = spec[field]
        answer = await self._http.post(f"{url}/api/jobs/", json=body)
        if answer.status_code >= 400:
            return {"status": "FAILED", "message": answer.text[:500], "refused": True}
        return {"status": "PENDING"}

    async def _record(self, job: Obj, status: Obj, found: Obj) -> float | None:
        state = found["status"]
        status |= {
            "jobStatus": state,
            "message": found.get("message") or "",
            "jobDeploymentStatus": "Running",
        }
        if state in ("SUCCEEDED", "FAILED", "STOPPED"):
            status["endTime"] = now()
            status["jobDeploymentStatus"] = "Failed" if state == "FAILED" else "Complete"
            if state == "FAILED":
                status["reason"] = "SubmissionFailed" if found.get("refused") else "AppFailed"
                status["failed"] = 1
            else:
                status["succeeded"] = 1
        await self._write(job, status)
        return _POLL_SECONDS

    async def _shut_down(self, job: Obj, status: Obj) -> None:
        spec = job["spec"]
        if not spec.get("shutdownAfterJobFinishes") or spec.get("clusterSelector"):
            return
        name = status.get("rayClusterName")
        if name and self._clusters.get(job["metadata"]["namespace"], name) is not None:
            wait = float(spec.get("ttlSecondsAfterFinished") or 0)
            if wait and _age(status["endTime"]) < wait:
                self.queue.add_later(key_of(job), 1.0)
                return
            await self._site.kube.delete(RAY_CLUSTER, job["metadata"]["namespace"], name)

    async def _suspend(self, job: Obj, status: Obj) -> float | None:
        name = status.get("rayClusterName")
        if status.get("jobDeploymentStatus") in (*_ENDED, "Suspended"):
            return None
        if name and self._clusters.get(job["metadata"]["namespace"], name) is not None:
            await self._site.kube.delete(RAY_CLUSTER, job["metadata"]["namespace"], name)
            return 1.0
        fresh = {"jobDeploymentStatus": "Suspended", "jobStatus": "", "jobId": "",
                 "rayClusterName": None, "message": ""}  # fmt: skip
        await self._write(job, {**status, **fresh})
        return None

    async def _write(self, job: Obj, status: Obj) -> None:
        if status != job.get("status"):
            made = await self._site.kube.patch(
                RAY_JOB, *key_of(job), {"status": status}, sub="status"
            )
            if made is not None:
                self.jobs.items[key_of(made)] = made


def _cluster(job: Obj, name: str, scheduler: str) -> Obj:
    meta = job["metadata"]
    labels = {
        **(meta.get("labels") or {}),
        "ray.io/originated-from-cr-name": meta["name"],
        "ray.io/originated-from-crd": "RayJob",
        "ray.io/job-name": meta["name"],
    }
    notes = {k: v for k, v in (meta.get("annotations") or {}).items() if "kubectl" not in k}
    cluster: Obj = {
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": labels,
            "annotations": notes,
            "ownerReferences": [owner(job, "RayJob")],
        },
        "spec": job["spec"]["rayClusterSpec"],
    }
    if scheduler == "volcano":
        notes |= {"scheduling.k8s.io/group-name": group_name(cluster), "volcano.sh/task-spec": ""}
    return cluster


def _age(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
