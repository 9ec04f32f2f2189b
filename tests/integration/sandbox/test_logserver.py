"""The kubelet's log endpoint of the sandbox: who may ask, and for which pods."""

import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest

from atoll.hosts.sandbox import layout
from atoll.hosts.sandbox.agent.logserver import of_tenant, serving
from atoll.hosts.sandbox.agent.world import OBJECT_NAME, OBJECT_NAMESPACE, World
from atoll.hosts.sandbox.certificates import Certificates, issue

COPY = "head-x-ray-x-one"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> list[Certificates]:
    """Those of two API servers."""
    folder = tmp_path_factory.mktemp("pki")
    return [issue(folder / name, ()) for name in ("one", "two")]


def pod() -> dict[str, Any]:
    told = {"name": "ray", "restartCount": 0, "state": {"running": {}}}
    notes = {OBJECT_NAME: "head", OBJECT_NAMESPACE: "ray"}
    return {
        "metadata": {"name": COPY, "namespace": "vc", "uid": "u", "annotations": notes},
        "spec": {"containers": [{"name": "ray", "image": "rayproject/ray:2"}]},
        "status": {"containerStatuses": [told]},
    }


class Pods:
    """The host's pods; one of them is a copy."""

    def __init__(self) -> None:
        self.items = {("vc", COPY): pod()}

    def get(self, namespace: str, name: str) -> Any:
        return self.items.get((namespace, name))


def world() -> World:
    return cast(World, SimpleNamespace(pods=Pods()))


def printed(root: Path, text: str) -> Path:
    """The log of the copy's program."""
    log = layout.pod_log(root, "vc", COPY)
    log.parent.mkdir(parents=True)
    log.write_text(text)
    return log


def client(port: int, server: Certificates, own: Certificates | None) -> httpx2.AsyncClient:
    context = ssl.create_default_context(cafile=str(server.ca))
    if own is not None:
        context.load_cert_chain(*own.admin)
    base = f"https://127.0.0.1:{port}"
    return httpx2.AsyncClient(base_url=base, verify=context, trust_env=False, timeout=30)


async def test_the_api_server_gets_the_log_by_the_names_it_knows(
    tmp_path: Path, authorities: list[Certificates]
) -> None:
    printed(tmp_path, "one\ntwo\n")
    own = authorities[0]
    lookup = of_tenant(world(), "vc", "one")
    async with serving(tmp_path, lookup, own) as port, client(port, own, own) as asking:
        last = await asking.get("/containerLogs/ray/head/ray", params={"tailLines": "1"})
        assert (last.status_code, last.text) == (200, "two\n")
        for path, status, why in (
            ("/containerLogs/vc/head-x-ray-x-one/ray", 400, "has not reached its node"),
            ("/containerLogs/ray/head/other", 400, "the others are played"),
            ("/containerLogs/ray/head/ray?sinceSeconds=3", 400, "leave out --timestamps"),
            ("/exec/ray/head/ray", 501, "except for logs"),
        ):
            answer = await asking.get(path)
            assert (answer.status_code, why in answer.text) == (status, True), answer.text


async def test_what_is_followed_ends_with_its_container(
    tmp_path: Path, authorities: list[Certificates]
) -> None:
    log = printed(tmp_path, "one\n")
    own, here = authorities[0], world()
    path = "/containerLogs/ray/head/ray?follow=true"
    async with (
        serving(tmp_path, of_tenant(here, "vc", "one"), own) as port,
        client(port, own, own) as asking,
        asking.stream("GET", path) as answer,
    ):
        parts = answer.aiter_text()
        assert await anext(parts) == "one\n"
        log.write_text("one\ntwo\n")
        assert await anext(parts) == "two\n"
        cast(Any, here.pods).items.clear()
        assert [part async for part in parts] == []


async def test_nobody_else_gets_an_answer(tmp_path: Path, authorities: list[Certificates]) -> None:
    own, other = authorities
    async with serving(tmp_path, of_tenant(world(), "vc", "one"), own) as port:
        for stranger in (None, other):
            async with client(port, own, stranger) as asking:
                with pytest.raises(httpx2.TransportError):
                    await asking.get("/containerLogs/ray/head/ray")
