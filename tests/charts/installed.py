"""Both charts on an API server: what the tests of the installed charts share."""

import json
import subprocess
from pathlib import Path
from typing import Any

from charts.rendering import HELM, helm
from conftest import binary

SYSTEM, ACCESS, TENANT, ELSEWHERE = "atoll-system", "atoll-access", "vc-charts", "elsewhere"
GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{SYSTEM}", "system:authenticated")

Finished = subprocess.CompletedProcess[str]


def user(account: str) -> str:
    """The name under which the API server knows one of the platform's accounts."""
    return f"system:serviceaccount:{SYSTEM}:{account}"


class Kubectl:
    """kubectl against the server, as an admin or as one of the platform's accounts."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def __call__(
        self, *arguments: str, given: Any = None, account: str | None = None, check: bool = True
    ) -> Finished:
        identity = (
            [f"--as={user(account)}", *(f"--as-group={g}" for g in GROUPS)] if account else []
        )
        answer = subprocess.run(
            [binary("kubectl"), "--kubeconfig", str(self._kubeconfig), *identity, *arguments],
            input=None if given is None else json.dumps(given),
            check=False, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert not check or answer.returncode == 0, answer.stderr
        return answer

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json").stdout)
        return found

    def apply(self, manifest: Any, *more: str, account: str | None = None) -> Finished:
        return self(
            "apply", "--server-side", "--force-conflicts", "-f", "-", *more,
            given=manifest, account=account, check=False,
        )  # fmt: skip


def config_map(name: str, fence: str | None, namespace: str = TENANT) -> dict[str, Any]:
    annotations = {} if fence is None else {"atoll.dev/fence": fence}
    return {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
        "data": {"fence": str(fence)},
    }  # fmt: skip


def install_platform(kubeconfig: Path) -> str:
    """The release `atoll`; returns what helm said."""
    answer = helm(
        "install", "atoll", HELM / "atoll", "--kubeconfig", kubeconfig, "--namespace", SYSTEM,
        "-f", HELM / "atoll" / "ci" / "kind-values.yaml",
    )  # fmt: skip
    return answer.stdout


def install_tenant(kubeconfig: Path, fence: int) -> None:
    """The release `tenant`, made with no more than the worker's power."""
    helm(
        "upgrade", "--install", "tenant", HELM / "tenant", "--kubeconfig", kubeconfig,
        "--namespace", TENANT, "-f", HELM / "tenant" / "ci" / "defaults-values.yaml",
        "--set", f"virtualCluster=charts,fence={fence}", "--kube-as-user", user("atoll-worker"),
    )  # fmt: skip
