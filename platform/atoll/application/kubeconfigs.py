"""Kubeconfigs without a secret in them: `atoll credential` fetches a short-lived token when used."""

import base64
from typing import Any

import yaml

from atoll.errors import UnavailableError
from atoll.settings import Settings

_PLAIN = "# kubectl needs https: over plain http, as in this address, it sends no token and is refused.\n"


def kubeconfig_text(virtual_cluster: str, settings: Settings) -> str:
    """The kubeconfig as YAML; a comment says so where kubectl will not work with it."""
    found = kubeconfig(virtual_cluster, settings)
    text: str = yaml.safe_dump(found, sort_keys=False)
    server: str = found["clusters"][0]["cluster"]["server"]
    return text if server.startswith("https:") else _PLAIN + text


def kubeconfig(virtual_cluster: str, settings: Settings) -> dict[str, Any]:
    """The kubeconfig of a virtual cluster: its API through ours, its token through our CLI.

    UnavailableError when the file of the authority cannot be read.
    """
    context = f"atoll-{virtual_cluster}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "preferences": {},
        "contexts": [
            {"name": context, "context": {"cluster": context, "user": context, "namespace": "ray"}}
        ],
        "clusters": [{"name": context, "cluster": _cluster(virtual_cluster, settings)}],
        "users": [{"name": context, "user": {"exec": _plugin(virtual_cluster, settings.api_url)}}],
    }


def _cluster(virtual_cluster: str, settings: Settings) -> dict[str, str]:
    root = (settings.kubernetes_url or settings.api_url).rstrip("/")
    cluster = {"server": f"{root}/v1/virtual-clusters/{virtual_cluster}/kubernetes"}
    if settings.kubernetes_ca_file is None:
        return cluster
    try:
        authority = settings.kubernetes_ca_file.read_bytes()
    except OSError as error:
        raise UnavailableError(
            "The certificate authority for kubeconfigs cannot be read "
            f"({error.strerror}); an admin has to look at ATOLL_KUBERNETES_CA_FILE."
        ) from error
    return cluster | {"certificate-authority-data": base64.b64encode(authority).decode()}


def _plugin(virtual_cluster: str, api_url: str) -> dict[str, Any]:
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "atoll",
        "args": ["credential", virtual_cluster, "--api-url", api_url.rstrip("/")],
        "interactiveMode": "Never",
        "provideClusterInfo": False,
        "installHint": "Install the atoll command and sign in with `atoll login`.",
    }
