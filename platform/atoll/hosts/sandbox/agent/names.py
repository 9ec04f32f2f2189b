"""The names that a virtual cluster's objects have on the host."""

from __future__ import annotations

import hashlib

LIMIT = 63


def host_name(name: str, namespace: str, tenant: str) -> str:
    """Host name of a namespaced object; long names end in a part of their SHA-256."""
    return shortened(f"{name}-x-{namespace}-x-{tenant}")


def label_key(key: str, tenant: str) -> str:
    """What a label that vcluster keeps for itself is called on the host."""
    digest = hashlib.sha256(key.encode()).hexdigest()[:10]
    return f"vcluster.loft.sh/label-{tenant}-x-{digest}"


def shortened(name: str) -> str:
    """The name, or its first 52 characters and 10 hexadecimal digits when it is too long."""
    if len(name) <= LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return (name[:52] + "-" + digest[:10]).replace(".-", "-")
