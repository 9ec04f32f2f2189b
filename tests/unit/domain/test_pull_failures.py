"""Which image cannot be pulled, in the node's own words."""

from typing import Any

import pytest

from atoll.domain.pull_failures import pull_failure


def pod(
    name: str, *waiting: tuple[str, str, str], part: str = "containerStatuses"
) -> dict[str, Any]:
    statuses = [
        {"image": image, "state": {"waiting": {"reason": reason, "message": message}}}
        for image, reason, message in waiting
    ]
    return {"metadata": {"name": name}, "status": {part: statuses}}


RUNNING = {
    "metadata": {"name": "a"},
    "status": {"containerStatuses": [{"image": "x:1", "state": {"running": {}}}]},
}


@pytest.mark.parametrize("part", ["containerStatuses", "initContainerStatuses"])
def test_the_image_the_pod_and_the_words(part: str) -> None:
    words = 'failed to pull "ray:33":\n  not found'
    told = pull_failure([pod("head-0", ("ray:33", "ErrImagePull", words), part=part)])
    assert told.startswith('image ray:33 of pod head-0: failed to pull "ray:33": not found. ')
    assert "load the image onto the nodes" in told


def test_of_one_image_the_error_is_told_and_not_its_back_off() -> None:
    back_off = pod("a", ("redis:9", "ImagePullBackOff", "Back-off pulling image"))
    error = pod("b", ("redis:9", "ErrImagePull", "manifest unknown"))
    for pods in ([back_off, error], [error, back_off]):
        told = pull_failure(pods)
        assert "manifest unknown" in told
        assert "Back-off" not in told


def test_a_back_off_alone_is_told_too() -> None:
    assert "Back-off" in pull_failure([pod("a", ("redis:9", "ImagePullBackOff", "Back-off"))])


def test_words_have_an_end() -> None:
    assert len(pull_failure([pod("a", ("x:1", "ErrImagePull", "no " * 5000))])) < 600


@pytest.mark.parametrize(
    "pods",
    [
        [],
        [{"metadata": {"name": "new"}}],
        [pod("a", ("x:1", "ContainerCreating", ""))],
        [pod("a", ("x:1", "CrashLoopBackOff", "back-off restarting"))],
        [RUNNING],
    ],
)  # fmt: skip
def test_what_is_no_trouble_with_an_image(pods: list[dict[str, Any]]) -> None:
    assert pull_failure(pods) == ""
