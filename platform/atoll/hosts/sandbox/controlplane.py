"""Command lines of the Kubernetes programs, tuned for little memory and quick starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from atoll.hosts.sandbox.certificates import Certificates

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "endpoints-controller",
    "garbage-collector-controller",
    "job-controller",
    "legacy-serviceaccount-token-cleaner-controller",
    "namespace-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "ttl-after-finished-controller",
    "validatingadmissionpolicy-status-controller",
)
# A virtual cluster has no nodes of its own to look after and keeps no volumes.
TENANT_CONTROLLERS = tuple(
    name
    for name in CONTROLLERS
    if not name.startswith(
        ("persistentvolume-", "pod-garbage", "legacy-", "daemonset", "endpoints-")
    )
)


@dataclass(frozen=True)
class Command:
    """A program with its arguments and the environment that bounds its memory."""

    argv: list[str]
    env: dict[str, str]


def _bounded(mebibytes: int, processors: int = 2) -> dict[str, str]:
    return {
        "GOMEMLIMIT": f"{mebibytes}MiB",
        "GOGC": "50",
        "GOMAXPROCS": str(processors),
    }


def etcd(binary: Path, data: Path, port: int, peer: int, certificates: Certificates) -> Command:
    """The shared store; without fsync, for a lost machine loses the sandbox anyway."""
    cert, key = certificates.server
    url, peer_url = f"https://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    argv = [
        str(binary),
        f"--data-dir={data}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        f"--cert-file={cert}",
        f"--key-file={key}",
        "--client-cert-auth=true",
        f"--trusted-ca-file={certificates.ca}",
        "--unsafe-no-fsync=true",
        "--snapshot-count=5000",
        "--quota-backend-bytes=2147483648",
        "--log-level=warn",
    ]
    return Command(argv, _bounded(120))


def apiserver(
    binary: Path,
    port: int,
    certificates: Certificates,
    store: tuple[int, Certificates, str],
    *,
    version: str | None = None,
    extra: tuple[str, ...] = (),
) -> Command:
    """A kube-apiserver; `store` is the port, certificates and key prefix of its etcd."""
    etcd_port, etcd_certificates, prefix = store
    cert, key = certificates.server
    client, client_key = etcd_certificates.admin
    asking, asking_key = certificates.admin
    argv = [
        str(binary),
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        "--endpoint-reconciler-type=none",
        f"--etcd-servers=https://127.0.0.1:{etcd_port}",
        f"--etcd-cafile={etcd_certificates.ca}",
        f"--etcd-certfile={client}",
        f"--etcd-keyfile={client_key}",
        f"--etcd-prefix={prefix}",
        "--etcd-count-metric-poll-period=0",
        f"--client-ca-file={certificates.ca}",
        f"--tls-cert-file={cert}",
        f"--tls-private-key-file={key}",
        # The agent has a port for each API server where it answers for the kubelets of all nodes.
        f"--kubelet-certificate-authority={certificates.ca}",
        f"--kubelet-client-certificate={asking}",
        f"--kubelet-client-key={asking_key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={certificates.accounts_public}",
        f"--service-account-signing-key-file={certificates.accounts}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        # Nobody removes the not-ready taint, since no node life cycle controller runs.
        "--disable-admission-plugins=TaintNodesByCondition",
        "--profiling=false",
        "--shutdown-delay-duration=0s",
        *extra,
    ]
    if version is not None:
        argv.append(f"--emulated-version=kube={version}")
    return Command(argv, _bounded(240))


def controller_manager(
    binary: Path,
    kubeconfig: Path,
    certificates: Certificates,
    controllers: tuple[str, ...],
    scratch: Path,
) -> Command:
    """A kube-controller-manager with few controllers and no listening port."""
    argv = [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--root-ca-file={certificates.ca}",
        f"--service-account-private-key-file={certificates.accounts}",
        f"--controllers={','.join(controllers)}",
        f"--cert-dir={scratch}",
        "--leader-elect=false",
        "--secure-port=0",
        "--concurrent-gc-syncs=5",
        "--concurrent-deployment-syncs=2",
        "--resource-quota-sync-period=30s",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    ]
    return Command(argv, _bounded(60))


def scheduler(binary: Path, kubeconfig: Path) -> Command:
    """A kube-scheduler without a listening port."""
    argv = [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    ]
    return Command(argv, _bounded(60))


def kwok(binary: Path, kubeconfig: Path, stages: Path) -> Command:
    """KWOK over the sandbox's nodes; it plays the pods that have no real program."""
    argv = [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--config={stages}",
        "--manage-all-nodes=false",
        "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
        "--node-ip=127.0.0.1",
        # With leases a new KWOK would wait until those of a killed one have run out.
        "--node-lease-duration-seconds=0",
    ]
    return Command(argv, _bounded(60))
