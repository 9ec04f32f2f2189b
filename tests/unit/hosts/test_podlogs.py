"""What is given of a pod's log, and when there is none."""

from pathlib import Path
from typing import Any

import pytest

from atoll.hosts.sandbox import layout
from atoll.hosts.sandbox.agent.podlogs import LogOptions, NoLogError, log_file, pieces

TEXT = b"one\ntwo\nthree\n"


async def given(path: Path, query: dict[str, str]) -> bytes:
    parts = [part async for part in pieces(path, LogOptions.read(query), lambda: True)]
    return b"".join(parts)


@pytest.mark.parametrize(
    ("text", "query", "wanted"),
    [
        (TEXT, {}, TEXT),
        (TEXT, {"tailLines": "2"}, b"two\nthree\n"),
        (TEXT, {"tailLines": "9"}, TEXT),
        (TEXT, {"tailLines": "0"}, b""),
        (b"one\ntwo", {"tailLines": "1"}, b"two"),
        (b"", {"tailLines": "1"}, b""),
        (TEXT, {"limitBytes": "5"}, b"one\nt"),
        (TEXT, {"tailLines": "2", "limitBytes": "3"}, b"two"),
    ],
)
async def test_lines_from_the_end_and_bytes_from_there(
    tmp_path: Path, text: bytes, query: dict[str, str], wanted: bytes
) -> None:
    path = tmp_path / "log"
    path.write_bytes(text)
    assert await given(path, query) == wanted
    assert await given(path, {**query, "follow": "true"}) == wanted


async def test_what_is_followed_goes_on_and_its_last_words_are_given(tmp_path: Path) -> None:
    path, ended = tmp_path / "log", False
    path.write_bytes(b"one\n")

    def over() -> bool:
        if ended:
            with path.open("ab") as file:
                file.write(b"last\n")
        return ended

    parts = pieces(path, LogOptions(follow=True), over)
    assert await anext(parts) == b"one\n"
    with path.open("ab") as file:
        file.write(b"two\n")
    assert await anext(parts) == b"two\n"
    ended = True
    assert await anext(parts) == b"last\n"
    await parts.aclose()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ({"timestamps": "true"}, "leave out --timestamps"),
        ({"sinceSeconds": "5"}, "--since"),
        ({"tailLines": "few"}, "whole numbers"),
    ],
)
def test_what_the_sandbox_cannot_tell_is_refused(query: dict[str, str], why: str) -> None:
    with pytest.raises(NoLogError, match=why):
        LogOptions.read(query)


def test_a_second_program_in_a_pod_has_no_log(tmp_path: Path) -> None:
    """There is one file for each pod, that of its first program."""
    path = layout.pod_log(tmp_path, "vc", "head")
    path.parent.mkdir(parents=True)
    path.touch()
    two = pod({"running": {}})
    two["spec"]["containers"][1]["image"] = "rayproject/ray:2"
    two["status"]["containerStatuses"].append({"name": "side", "state": {"running": {}}})
    assert log_file(tmp_path, two, "ray", previous=False) == path
    with pytest.raises(NoLogError, match="the others are played"):
        log_file(tmp_path, two, "side", previous=False)


def pod(state: dict[str, Any], restarts: int = 0) -> dict[str, Any]:
    told = {"name": "ray", "restartCount": restarts, "state": state}
    containers = [{"name": "ray", "image": "rayproject/ray:2"}, {"name": "side", "image": "i"}]
    return {
        "metadata": {"name": "head", "namespace": "vc"},
        "spec": {"containers": containers},
        "status": {"containerStatuses": [told]},
    }


def test_a_log_is_that_of_this_very_pod(tmp_path: Path) -> None:
    path = layout.pod_log(tmp_path, "vc", "head")
    path.parent.mkdir(parents=True)
    for file in (path, layout.earlier(path)):
        file.touch()
    running: dict[str, Any] = {"running": {}}
    waiting = {"waiting": {"reason": "PodInitializing"}}
    assert log_file(tmp_path, pod(running), "ray", previous=False) == path
    assert log_file(tmp_path, pod(waiting, 1), "ray", previous=False) == path
    assert log_file(tmp_path, pod(running, 1), "ray", previous=True) == layout.earlier(path)
    assert log_file(tmp_path, pod(waiting, 1), "ray", previous=True) == path
    # The files are those of an earlier pod of the same name.
    with pytest.raises(NoLogError, match="waiting to start: PodInitializing"):
        log_file(tmp_path, pod(waiting), "ray", previous=False)
    with pytest.raises(NoLogError, match="previous terminated container"):
        log_file(tmp_path, pod(running), "ray", previous=True)
    with pytest.raises(NoLogError, match="the others are played"):
        log_file(tmp_path, pod(running), "side", previous=False)
