"""`atoll up`: which profiles it makes, by what is there."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from atoll.cli.local.host import Host
from atoll.cli.local.up import ensure_profiles
from atoll.client import Atoll
from atoll.errors import ConflictError
from atoll.hosts.profiles import built_in_profiles
from fakes.atoll_api import FakeApi


def host(charts: Path | None) -> Host:
    return Host("kind", Path("kubeconfig"), charts, "cluster-ip")


def read(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name, "uid": f"uid-{name}", "revision": "1", "generation": 1,
        "createdAt": "2026-01-01T00:00:00Z", "spec": spec,
    }  # fmt: skip


def made(request: httpx2.Request) -> httpx2.Response:
    body = json.loads(request.content)
    return httpx2.Response(201, json=read(body["name"], body["spec"]))


@pytest.fixture
def client(api: FakeApi) -> Atoll:
    api.when("GET", "profiles", {"items": [], "next": None})
    api.when("POST", "profiles", made)
    return Atoll("http://atoll", "token", transport=api.transport)


def test_neither_bundle_nor_profile(api: FakeApi, client: Atoll) -> None:
    assert ensure_profiles(client, host(None)) == ["default", "previous", "yunikorn"]
    sent = {body["name"]: body["spec"] for body in api.bodies("POST")}
    chart = sent["default"]["vcluster"]["chart"]
    wanted = built_in_profiles()[0]["spec"]["vcluster"]["chart"]
    assert {key: chart[key] for key in wanted} == wanted


def test_profiles_that_are_there_are_enough(api: FakeApi, client: Atoll) -> None:
    own = read("ours", built_in_profiles()[0]["spec"])
    api.when("GET", "profiles", {"items": [own], "next": None})
    assert ensure_profiles(client, host(None)) == ["ours"]
    assert api.bodies("POST") == []


def test_with_a_bundle_those_of_what_is_in_it(api: FakeApi, client: Atoll, tmp_path: Path) -> None:
    charts = [
        {"name": name, "version": version, "file": f"charts/{name}.tgz", "sha256": "0a" * 32}
        for name, version in (("vcluster", "0.36.1"), ("kuberay-operator", "1.6.2"), ("volcano", "1.15.1"))
    ]  # fmt: skip
    (tmp_path / "index.json").write_text(json.dumps({"charts": charts, "images": []}))
    assert "default" in ensure_profiles(client, host(tmp_path))
    sent = {body["name"]: body["spec"] for body in api.bodies("POST")}
    assert sent["default"]["kuberay"]["chart"]["version"] == "1.6.2"
    assert sent["default"]["kuberay"]["chart"]["digest"] == "sha256:" + "0a" * 32


def test_one_that_an_admin_changed_stays(api: FakeApi, client: Atoll) -> None:
    api.when("POST", "profiles", ConflictError("Taken.", code="exists"))
    assert ensure_profiles(client, host(None)) == ["default", "previous", "yunikorn"]
