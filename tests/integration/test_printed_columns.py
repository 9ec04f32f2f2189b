"""What `kubectl get` prints of our kinds: the API server's own tables, cell by cell."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from atoll.resources.crds import RESOURCES
from atoll.resources.meta import GROUP, VERSION
from builders.api_process import profile

NAME = "printed"
TABLE = {"Accept": "application/json;as=Table;g=meta.k8s.io;v=v1"}
AGE = "an age"


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "type": kind, "status": status, "reason": reason, "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }  # fmt: skip


OBJECTS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "Team": (
        {"parent": "top", "quota": {"cpu": {"limit": "8"}, "memory": {"limit": "16Gi"}}},
        {"reserved": {"cpu": "3"}},
        {"Parent": "top", "CPU": "8", "Reserved": "3", "Memory": "16Gi", "Age": AGE},
    ),
    "Profile": (
        {**profile(NAME)["spec"], "retired": True},
        {"conditions": [condition("Valid", "False", "NotInBundle")]},
        {
            "Kubernetes": "1.36.3", "KubeRay": "1.7.0", "Ray": "2.60.0", "Retired": True,
            "Valid": "False",
        },
    ),
    "VirtualCluster": (
        {"team": "blue", "profile": "fast"},
        {
            "phase": "Degraded",
            "conditions": [
                condition("RedisReady", "True", "Done"),
                condition("Ready", "False", "RedisReady"),
            ],
        },
        {
            "Team": "blue", "Profile": "fast", "Phase": "Degraded", "Ready": "False",
            "Reason": "RedisReady", "Age": AGE,
        },
    ),
    "QuotaRequest": (
        {"team": "blue", "quota": {"cpu": "9"}, "reason": "more", "decision": "Approved"},
        {"conditions": [condition("Applied", "True", "Applied")]},
        {"Team": "blue", "Decision": "Approved", "Applied": "True", "Age": AGE},
    ),
    "QuotaRevision": (
        {
            "team": "blue", "teamUid": "u", "number": 7, "by": "ann", "cause": "changed",
            "at": "2026-01-01T00:00:00Z",
        },
        {},
        {"Team": "blue", "Number": 7, "By": "ann", "Cause": "changed", "Age": AGE},
    ),
}  # fmt: skip
"""Kind -> spec, status, and what a row says beside the name."""


@pytest.fixture
def kube(api_server: Path) -> Iterator[httpx2.Client]:
    config = yaml.safe_load(api_server.read_text())
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    server = config["clusters"][0]["cluster"]["server"]
    with httpx2.Client(base_url=server, verify=False, headers=headers, timeout=30) as client:
        yield client


def test_every_kind_is_tried() -> None:
    assert set(OBJECTS) == {resource.KIND for resource in RESOURCES}


def _row(kube: httpx2.Client, path: str, status: dict[str, Any]) -> dict[str, Any]:
    """What `kubectl get` prints of an object that has this status."""
    if status:
        merge = {"Content-Type": "application/merge-patch+json"}
        kube.patch(f"{path}/status", json={"status": status}, headers=merge).raise_for_status()
    table = kube.get(path, headers=TABLE).raise_for_status().json()
    assert table["kind"] == "Table"
    columns = [column["name"] for column in table["columnDefinitions"]]
    (row,) = table["rows"]
    return dict(zip(columns, row["cells"], strict=True))


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.KIND)
def test_a_row_says_what_the_object_says(resource: Any, kube: httpx2.Client) -> None:
    spec, status, expected = OBJECTS[resource.KIND]
    path = f"/apis/{GROUP}/{VERSION}/{resource.PLURAL}"
    body = {
        "apiVersion": f"{GROUP}/{VERSION}", "kind": resource.KIND,
        "metadata": {"name": NAME}, "spec": spec,
    }  # fmt: skip
    made = kube.post(path, json=body)
    assert made.status_code == 201, made.text
    try:
        # The API process of other tests may look after this one as well, once, and write over us.
        for _ in range(10):
            told = _row(kube, f"{path}/{NAME}", status)
            if told.items() >= {k: v for k, v in expected.items() if k != "Age"}.items():
                break
            time.sleep(0.5)
    finally:
        kube.delete(f"{path}/{NAME}").raise_for_status()
    if expected.get("Age") == AGE:
        assert re.fullmatch(r"\d+[smh]", told["Age"]), told
        told["Age"] = AGE
    assert told == {"Name": NAME, **expected}
