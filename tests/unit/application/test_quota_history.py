"""Who made a quota what it is: our note while it fits, else the field managers."""

import json
from typing import Any

from atoll.application.quota_history import ANNOTATION, Authorship, authorship_of


def team(**meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": "t", **meta}, "spec": {"quota": {"cpu": {"limit": "4"}}}}


def managed(manager: str, time: str, *fields: str, **more: str) -> dict[str, Any]:
    return {
        "manager": manager, "time": time, **more,
        "fieldsV1": {"f:spec": {f"f:{field}": {} for field in fields}},
    }  # fmt: skip


def test_our_note_is_believed_while_it_fits() -> None:
    found = team(generation=3)
    Authorship("ada", "requested", "note", request="r-1", request_id="id").mark(found)
    who, at = authorship_of(found)
    assert (who.by, who.cause, who.request, who.request_id) == ("ada", "requested", "r-1", "id")
    assert at.endswith("Z")
    found["spec"]["quota"]["cpu"]["limit"] = "5"
    found["metadata"]["managedFields"] = [managed("kubectl", "2026-01-02T00:00:00Z", "quota")]
    assert authorship_of(found)[0] == Authorship("kubectl")


def test_the_newest_writer_of_the_quota_is_told() -> None:
    entries = [
        managed("argo", "2026-01-01T00:00:00Z", "quota"),
        managed("kubectl-edit", "2026-01-03T00:00:00Z", "quota"),
        managed("somebody", "2026-01-04T00:00:00Z", "members"),
        managed("status", "2026-01-05T00:00:00Z", "quota", subresource="status"),
    ]
    who, at = authorship_of(team(generation=2, managedFields=entries))
    assert (who.by, at) == ("kubectl-edit", "2026-01-03T00:00:00Z")
    who, _ = authorship_of(team(generation=2, managedFields=entries[2:3]))
    assert who.by == "somebody"


def test_the_first_state_is_its_creation() -> None:
    who, at = authorship_of(team(generation=1, creationTimestamp="2026-01-01T00:00:00Z"))
    assert (who.by, who.cause, at) == ("unknown", "created", "2026-01-01T00:00:00Z")


def test_an_annotation_that_somebody_else_wrote_is_no_reason_to_fail() -> None:
    for text in ("{", "[]", '"x"', json.dumps({"quota": "x"}), json.dumps({"by": 3})):
        found = team(generation=2, annotations={ANNOTATION: text})
        assert authorship_of(found)[0].by == "unknown"


def test_our_name_without_our_note_is_told_as_such() -> None:
    entries = [managed("atoll", "2026-01-01T00:00:00Z", "quota")]
    assert authorship_of(team(generation=2, managedFields=entries))[0].by == "atoll (past the API)"
