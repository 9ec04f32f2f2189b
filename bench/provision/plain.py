"""The same virtual cluster by plain helm and kubectl: its folder of charts, values and manifests."""

import base64
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from atoll.domain.names import queue_name
from atoll.domain.queue_shares import QueueShare
from atoll.domain.ray_clusters import ray_cluster_manifest, ray_image
from atoll.resources.meta import Metadata
from atoll.resources.profiles import Profile
from atoll.resources.virtual_clusters import VirtualCluster, VirtualClusterSpec
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.values import kuberay_values, vcluster_values

SCRIPT = Path(__file__).with_name("plain.sh")
PASSWORD = base64.b64encode(b"bench").decode()


class Plain:
    """The contestant: `up` is timed, `down` is not."""

    def __init__(
        self, folder: Path, bundle: Path, profile: Profile, spec: VirtualClusterSpec,
        name: str, node: str, env: dict[str, str],
    ) -> None:  # fmt: skip
        self._folder, self._name, self._node = folder, name, node
        self._env = {**os.environ, **env}
        _write(folder, bundle, profile, spec, name)

    def up(self) -> tuple[float, dict[str, float]]:
        """Seconds from the first command to a ready Ray cluster, and when each step was over."""
        began = time.monotonic()
        out = self._run("up")
        seconds = time.monotonic() - began
        stamps = [line.split() for line in out.splitlines() if line[:1].isdigit()]
        first = float(stamps[0][0])
        return seconds, {words[1]: float(words[0]) - first for words in stamps[1:]}

    def down(self) -> None:
        """Everything of it away."""
        self._run("down")

    def _run(self, verb: str) -> str:
        done = subprocess.run(
            [str(SCRIPT), verb, self._name, self._node, str(self._folder)],
            env=self._env, capture_output=True, text=True, check=False, timeout=900,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(
                f"plain.sh {verb} failed:\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
            )
        return done.stdout


def _write(
    folder: Path, bundle: Path, profile: Profile, spec: VirtualClusterSpec, name: str
) -> None:
    """Same charts, images and sizes as Atoll would use, from the same functions."""
    parts = profile.spec
    for chart in (parts.vcluster.chart, parts.kuberay.chart, parts.scheduler.chart):
        file = f"{chart.name}-{chart.version}.tgz"
        shutil.copyfile(bundle / "charts" / file, folder / file)
    vc = VirtualCluster(metadata=Metadata(name=name), spec=spec)
    image = ray_image(parts.ray.image, parts.ray.version, parts.registry)
    ray = ray_cluster_manifest(
        spec.ray_clusters[0], team=spec.team, virtual_cluster=name,
        ray_version=parts.ray.version, image=image,
    )  # fmt: skip
    # One password for all, as a person has it who makes no users of Redis.
    options = ray["spec"]["gcsFaultToleranceOptions"]
    options.pop("redisUsername", None)
    options["redisPassword"] = {"valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}}
    secret = {
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "redis", "namespace": "ray"}, "data": {"password": PASSWORD},
    }  # fmt: skip
    capability = {key: amount for key, amount in spec.quota.items() if key in ("cpu", "memory")}
    scheduler = adapter_of(profile)
    queue = scheduler.queue_spec(queue_name(spec.team), QueueShare(capability, capability), {})
    control_plane = vcluster_values(vc, profile)
    # Tuning, not need: a person keeps probes, limits and arguments of the chart, and KubeRay's probes.
    del control_plane["controlPlane"]["statefulSet"]["probes"]
    kubernetes = control_plane["controlPlane"]["distro"]["k8s"]
    del kubernetes["resources"], kubernetes["controllerManager"]
    kuberay = kuberay_values(profile)
    kuberay.pop("env", None)
    for group in (ray["spec"]["headGroupSpec"], *ray["spec"]["workerGroupSpecs"]):
        for container in group["template"]["spec"]["containers"]:
            container.pop("readinessProbe", None)
    files: dict[str, list[dict[str, Any]]] = {
        "vcluster": [control_plane],
        "volcano": [scheduler.values(profile)],
        "kuberay-operator": [kuberay],
        "queue": [queue],
        "raycluster": [ray],
        "secret": [secret],
        "redis": _redis(profile),
    }
    for file, documents in files.items():
        (folder / f"{file}.yaml").write_text(yaml.safe_dump_all(documents))


def _redis(profile: Profile) -> list[dict[str, Any]]:
    """One Redis with an append-only file on a volume, as the tenant chart makes it."""
    redis = profile.spec.redis
    labels = {"app": "redis"}
    command = ["redis-server", "--bind", "*", "--dir", "/data", "--appendonly", "yes",
               "--requirepass", "bench"]  # fmt: skip
    probe = {"exec": {"command": ["redis-cli", "ping"]}, "periodSeconds": 1}
    container = {
        "name": "redis", "image": redis.image, "imagePullPolicy": "IfNotPresent",
        "command": command, "readinessProbe": probe,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }  # fmt: skip
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": redis.storage}},
        },
    }
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "redis"},
        "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 6379}]},
    }  # fmt: skip
    workload = {
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "redis"},
        "spec": {
            "serviceName": "redis", "replicas": 1, "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            "volumeClaimTemplates": [claim],
        },
    }  # fmt: skip
    return [service, workload]
