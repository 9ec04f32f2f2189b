"""Which images have a real program in the sandbox."""

import re

import pytest

from atoll.hosts.sandbox.images import REAL_IMAGES, Play, play_of


@pytest.mark.parametrize(
    ("image", "play"),
    [
        ("ghcr.io/loft-sh/vcluster-oss:0.36.1", Play.VCLUSTER),
        ("mirror.local:5000/loft-sh/vcluster-oss:0.36.1", Play.VCLUSTER),
        ("ghcr.io/loft-sh/vcluster-pro:0.36.1", None),
        ("docker.io/volcanosh/vc-scheduler:v1.15.1", Play.VOLCANO),
        ("docker.io/volcanosh/vc-controller-manager:v1.15.1", None),
        ("quay.io/kuberay/operator:v1.7.0", Play.KUBERAY),
        ("rayproject/ray:2.60.0-py311", Play.RAY),
        ("docker.io/rayproject/ray-ml:2.60.0", None),
        ("docker.io/library/redis:7", Play.REDIS),
        ("redis:7", Play.REDIS),
        ("bitnami/redis:7", None),
        ("busybox", None),
    ],
)
def test_the_image_decides(image: str, play: Play | None) -> None:
    assert play_of([image]) is play
    # KWOK leaves alone exactly the pods that the agent runs.
    assert bool(re.search(REAL_IMAGES, image)) is (play is not None)


def test_one_container_is_enough() -> None:
    assert play_of(["busybox", "redis:7"]) is Play.REDIS
