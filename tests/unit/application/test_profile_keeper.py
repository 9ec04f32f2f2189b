"""What the condition of a stored profile says."""

from pathlib import Path
from typing import Any

import pytest

from atoll.application.conditions import status_with
from atoll.application.profile_keeper import judged
from atoll.application.stock import Stock
from atoll.domain.findings import Finding
from atoll.resources.meta import API_VERSION
from builders.api_process import profile

ANY = Stock(None)


def stored_profile(name: str = "some", **parts: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Profile",
        "metadata": {"name": name, "uid": "u", "generation": 1},
        "spec": {**profile(name)["spec"], **parts},
    }


def test_a_sound_one() -> None:
    found = judged(stored_profile(), ANY)
    assert (found.type, found.holds, found.reason) == ("Valid", True, "Valid")
    assert "told by its virtual clusters" in found.message


@pytest.mark.parametrize(
    ("parts", "reason", "words"),
    [
        ({"ray": {"version": "2.9.0"}}, "VersionRefused",
         "/spec/ray/version: 2.9.0 is too old; the oldest supported version is 2.52.0"),
        ({"ray": {"version": "new"}}, "VersionRefused", "write it like 1.36.3"),
        ({"scheduler": {"chart": {"repository": "r", "name": "/volcano", "version": "1"}}},
         "StoredInvalid", "/spec/scheduler/chart/name: "),
        ({"redis": {"memory": "plenty"}}, "StoredInvalid", "/spec/redis/memory: "),
        ({"redis": {"external": {"address": "redis.example:6379", "secret": "s"}}}, "StoredInvalid",
         "list the address blocks where it answers"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(parts: dict[str, Any], reason: str, words: str) -> None:
    found = judged(stored_profile(**parts), ANY)
    assert (found.holds, found.reason) == (False, reason)
    assert words in found.message


def test_every_version_that_is_wrong_is_named() -> None:
    parts = {"kubernetes": {"version": "1.2.3"}, "ray": {"version": "1.0.0"}}
    told = judged(stored_profile(**parts), ANY).message
    assert "/spec/kubernetes/version: 1.2.3" in told
    assert "; /spec/ray/version: 1.0.0" in told


def test_a_name_that_the_api_would_not_take() -> None:
    found = judged(stored_profile("a.b"), ANY)
    assert (found.holds, found.reason) == (False, "NameInvalid")
    assert found.message.startswith("/metadata/name: 'a.b' is not a DNS label")
    assert judged(stored_profile("default"), ANY).holds


def test_what_the_bundle_lacks(tmp_path: Path) -> None:
    for chart in ("vcluster-0.36.1", "kuberay-operator-1.6.2", "volcano-1.15.1"):
        (tmp_path / f"{chart}.tgz").write_text(chart)
    found = judged(stored_profile(), Stock(tmp_path))
    assert (found.holds, found.reason) == (False, "NotInBundle")
    assert found.message.startswith(
        "/spec/kuberay/chart/version: chart kuberay-operator 1.7.0 is not"
    )
    assert "it has 1.6.2; take one that is there, or add it" in found.message
    (tmp_path / "kuberay-operator-1.7.0.tgz").write_text("new")
    mended = judged(stored_profile(), Stock(tmp_path))
    assert (mended.holds, mended.message.endswith("bundle has what it asks for")) == (True, True)


GOOD, BAD = Finding("Valid", True, "Valid", "fine"), Finding("Valid", False, "Broken", "not fine")


def test_a_status_is_written_anew_only_when_it_says_something_new() -> None:
    item = stored_profile()
    first = status_with(item, [BAD])
    assert first is not None
    (told,) = first["conditions"]
    assert (told["status"], told["reason"], told["observedGeneration"]) == ("False", "Broken", 1)
    assert first["observedGeneration"] == 1
    assert status_with({**item, "status": first}, [BAD]) is None
    again = {**item, "metadata": {**item["metadata"], "generation": 2}, "status": first}
    of_the_second = status_with(again, [BAD])
    assert of_the_second is not None
    assert of_the_second["conditions"] == [{**told, "observedGeneration": 2}]


def test_the_time_of_a_condition_is_that_of_its_last_turn() -> None:
    since = "2026-01-01T00:00:00.000Z"
    item = stored_profile()
    old = {"type": "Valid", "status": "False", "reason": "Other", "message": "",
           "lastTransitionTime": since, "observedGeneration": 1}  # fmt: skip
    other = {"type": "SomebodyElses", "status": "True"}
    item["status"] = {"observedGeneration": 1, "conditions": [old, other]}
    worded = status_with(item, [BAD])
    assert worded is not None
    assert worded["conditions"][0]["lastTransitionTime"] == since
    assert worded["conditions"][1] == other
    turned = status_with(item, [GOOD])
    assert turned is not None
    assert turned["conditions"][0]["lastTransitionTime"] > since
