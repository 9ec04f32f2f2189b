"""The table of images that have a real program or an in-process stand-in in the sandbox."""

from __future__ import annotations

import re
from enum import Enum


class Play(Enum):
    """What the agent does for a pod, by the image of one of its containers."""

    VCLUSTER = r"(^|/)loft-sh/vcluster-oss[:@]"
    VOLCANO = r"(^|/)volcanosh/vc-scheduler[:@]"
    KUBERAY = r"(^|/)kuberay/operator[:@]"
    RAY = r"(^|/)rayproject/ray[:@]"
    REDIS = r"((^|/)library/|^)redis[:@]"


# One expression, in a syntax that both Python and jq (Oniguruma, RE2) read alike.
REAL_IMAGES = "|".join(play.value for play in Play)
_PATTERNS = [(play, re.compile(play.value)) for play in Play]


def play_of(images: list[str]) -> Play | None:
    """The play for a pod with these container images; None leaves it to KWOK."""
    for play, pattern in _PATTERNS:
        if any(pattern.search(image) for image in images):
            return play
    return None
