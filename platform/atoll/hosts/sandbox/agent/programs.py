"""Which program stands behind which kind of image."""

from __future__ import annotations

from atoll.hosts.sandbox.agent.kubelet import Program
from atoll.hosts.sandbox.agent.kuberay import KubeRay
from atoll.hosts.sandbox.agent.ray import Ray
from atoll.hosts.sandbox.agent.redis import Redis
from atoll.hosts.sandbox.agent.vcluster import VirtualCluster
from atoll.hosts.sandbox.agent.volcano import Volcano
from atoll.hosts.sandbox.images import Play


def programs() -> dict[Play, Program]:
    """The programs of all plays."""
    return {
        Play.VCLUSTER: VirtualCluster(),
        Play.VOLCANO: Volcano(),
        Play.KUBERAY: KubeRay(),
        Play.RAY: Ray(),
        Play.REDIS: Redis(),
    }
