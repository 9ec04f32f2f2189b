"""Kubeconfigs without a secret in them: `atoll credential` fetches a short-lived token when used."""

from typing import Any


def kubeconfig(virtual_cluster: str, api_url: str) -> dict[str, Any]:
    """The kubeconfig of a virtual cluster: its API through ours, its token through our CLI."""
    root = api_url.rstrip("/")
    context = f"atoll-{virtual_cluster}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "preferences": {},
        "contexts": [
            {"name": context, "context": {"cluster": context, "user": context, "namespace": "ray"}}
        ],
        "clusters": [
            {
                "name": context,
                "cluster": {"server": f"{root}/v1/virtual-clusters/{virtual_cluster}/kubernetes"},
            }
        ],
        "users": [{"name": context, "user": {"exec": _plugin(virtual_cluster, root)}}],
    }


def _plugin(virtual_cluster: str, root: str) -> dict[str, Any]:
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "atoll",
        "args": ["credential", virtual_cluster, "--api-url", root],
        "interactiveMode": "Never",
        "provideClusterInfo": False,
        "installHint": "Install the atoll command and sign in with `atoll login`.",
    }
