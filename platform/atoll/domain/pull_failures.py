"""Images that nodes cannot pull, in words, from what pods say of their containers."""

from collections.abc import Iterable, Mapping
from typing import Any

REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull",
     "RegistryUnavailable"}
)  # fmt: skip
"""Why a container waits when it is for its image: the words of the kubelet."""


def pull_failure(pods: Iterable[Mapping[str, Any]]) -> str:
    """Each image that could not be pulled, with its pod's name and the node's words; "" when none."""
    told: dict[str, str] = {}
    for pod in pods:
        for status in _containers(pod):
            waiting = (status.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in REASONS:
                continue
            said = " ".join(str(waiting.get("message") or waiting["reason"]).split())
            name = pod["metadata"]["name"]
            # The back-off says less than the error before it; of one image one of them is enough.
            if waiting["reason"] != "ImagePullBackOff" or status["image"] not in told:
                told[status["image"]] = f"image {status['image']} of pod {name}: {said[:300]}"
    if not told:
        return ""
    return (
        f"{'; '.join(told[image] for image in sorted(told))}. Correct the version or the registry in the "
        "profile, or load the image onto the nodes"
    )


def _containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    status = pod.get("status") or {}
    return [
        *(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])
    ]  # fmt: skip
