"""The real API with its portal, over a real API server, and a real browser to look at it.

The tests stand in for two other processes only: the worker (they write status through the API
server, as it does) and the gateway (a small HTTP server that answers with contract models).
"""

import asyncio
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
import yaml
from playwright.sync_api import Page, Playwright, expect, sync_playwright

from atoll.api.app import create_app
from atoll.portal.views import router
from atoll.settings import Settings
from builders.chromium import PATIENCE, Chromium, bounded

TOKEN = "portal-test-token"
SANDBOX = "Sandbox: nodes and pods are simulated."
TEST_SECONDS = 180
"""Longest time of one test with its fixtures; a browser that stands still must not hold up the rest."""
GROUP = "/apis/atoll.dev/v1alpha1"


class Kube:
    """The host's API server, as kubectl and the worker write to it."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        self._client = httpx2.Client(
            base_url=config["clusters"][0]["cluster"]["server"],
            verify=False,
            headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
            timeout=10,
        )

    def close(self) -> None:
        self._client.close()

    def create(self, path: str, body: dict[str, Any]) -> None:
        answer = self._client.post(path, json=body)
        assert answer.status_code in (201, 409), answer.text

    def read(self, plural: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = (
            self._client.get(f"{GROUP}/{plural}/{name}").raise_for_status().json()
        )
        return found

    def exists(self, plural: str, name: str) -> bool:
        return self._client.get(f"{GROUP}/{plural}/{name}").status_code == 200

    def patch(self, plural: str, name: str, change: dict[str, Any], part: str = "") -> None:
        self._client.patch(
            f"{GROUP}/{plural}/{name}{part}",
            content=json.dumps(change),
            headers={"Content-Type": "application/merge-patch+json"},
        ).raise_for_status()

    def status(self, name: str, status: dict[str, Any]) -> None:
        """Write a virtual cluster's status, as its worker does."""
        self.patch("virtualclusters", name, {"status": status}, "/status")

    def remove(self, plural: str, name: str) -> None:
        """Delete an object that nothing holds back."""
        self._client.delete(f"{GROUP}/{plural}/{name}").raise_for_status()

    def forget(self, name: str) -> None:
        """Let a virtual cluster go, as the worker does at the end of a deletion."""
        self._client.delete(f"{GROUP}/virtualclusters/{name}")
        if self.exists("virtualclusters", name):
            self.patch("virtualclusters", name, {"metadata": {"finalizers": None}})


@pytest.fixture(scope="session")
def kube(api_server: Path) -> Iterator[Kube]:
    made = Kube(api_server)
    yield made
    made.close()


@dataclass
class Gateway:
    """What the gateway answers: path -> (status, body); everything else is a 503."""

    url: str
    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, dict(self.headers)))
            status, body = made.answers.get(self.path.partition("?")[0], (503, '{"detail": ""}'))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Gateway(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    server.shutdown()
    thread.join(20)
    assert not thread.is_alive(), "the gateway's stand-in did not stop within 20 s"
    server.server_close()


@dataclass
class Portal:
    """The running API with its pages; it can go away and come back at the same address."""

    settings: Settings
    port: int = 0
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        app = create_app(self.settings, portal=router)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=self.port, log_config=None, timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        # A daemon: one that does not stop fails a test, and must not hold up the end of all.
        thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.started, "the API did not start within 20 s"
        self.port = server.servers[0].sockets[0].getsockname()[1]
        self._server, self._thread = server, thread

    def stop(self) -> None:
        assert self._server
        assert self._thread
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive(), "the API did not stop within 20 s"


@pytest.fixture(scope="session")
def portal(api_server: Path, kube: Kube, gateway: Gateway) -> Iterator[Portal]:
    _world(kube)
    made = Portal(
        Settings(
            kubeconfig=api_server,
            admin_token=TOKEN,
            gateway_url=gateway.url,
            broker_url="redis://127.0.0.1:1/0",
            api_url="http://atoll.test",
            sandbox=SANDBOX,
        )
    )
    made.start()
    yield made
    made.stop()


def _world(kube: Kube) -> None:
    """A team with a quota, a profile, and host nodes of one template."""
    chart = {"repository": "https://charts.test", "name": "c", "version": "1.0.0"}
    profile = {
        "kubernetes": {"version": "1.36.3"},
        "vcluster": {"chart": chart},
        "kuberay": {"chart": chart},
        "scheduler": {"chart": chart},
        "ray": {"version": "2.55.1"},
    }
    team = {
        "displayName": "Science",
        "members": [{"name": "ada", "role": "owner"}],
        "quota": {"cpu": {"limit": "16"}, "memory": {"limit": "32Gi"}},
    }
    for plural, kind, name, spec in (
        ("profiles", "Profile", "default", profile),
        ("teams", "Team", "science", team),
        ("teams", "Team", "idle", {}),
    ):
        body = {"apiVersion": "atoll.dev/v1alpha1", "kind": kind, "metadata": {"name": name}}
        kube.create(f"{GROUP}/{plural}", {**body, "spec": spec})
    for index in range(3):
        labels = {"atoll.dev/node-template": "4c8g"}
        meta = {"name": f"host-{index}", "labels": labels}
        kube.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": meta})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound every test of this folder."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture
def api(portal: Portal) -> Iterator[httpx2.Client]:
    """The API as an admin."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx2.Client(base_url=portal.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    expect.set_options(timeout=PATIENCE * 1000)
    manager = sync_playwright()
    with bounded("Starting Playwright"):
        started = manager.start()
    yield started
    with bounded("Stopping Playwright"):
        started.stop()


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Chromium]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("there is no chromium on this machine (Debian: apt-get install chromium)")
    made = Chromium(playwright, program)
    yield made
    made.close()


@pytest.fixture
def visitor(browser: Chromium, portal: Portal) -> Iterator[Page]:
    """A browser that is not signed in. A script error or a refused resource fails the test."""
    context = browser.new_context(base_url=portal.url, locale="en-GB", timezone_id="Europe/Berlin")
    with bounded("Opening a page"):
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda m: wrong.append(m.text) if "Content Security Policy" in m.text else None,
    )
    yield page
    browser.end(context)
    assert wrong == []


@pytest.fixture
def page(visitor: Page, portal: Portal) -> Page:
    """A browser that is signed in, on the list of teams. (The form itself: test_sign_in.)"""
    with httpx2.Client(base_url=portal.url, timeout=30) as client:
        form = {"data": {"token": TOKEN}, "headers": {"Origin": portal.url}}
        cookies = client.post("/login", **form).cookies
    visitor.context.add_cookies(
        [{"name": n, "value": v, "url": portal.url} for n, v in cookies.items()]
    )
    visitor.goto("/teams")
    return visitor


@pytest.fixture
def science_ray(kube: Kube, portal: Portal) -> Iterator[str]:
    """A virtual cluster of team science, accepted and not yet looked at."""
    name = "science-ray"
    spec = {
        "team": "science",
        "profile": "default",
        "replicaSets": {"4c8g": 2},
        "quota": {"cpu": "8", "memory": "16Gi"},
        "rayClusters": [{"name": "main", "workers": 2}],
    }
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx2.Client(base_url=portal.url, headers=headers, timeout=30) as api:
        answer = api.post("/v1/virtual-clusters", json={"name": name, "spec": spec})
        assert answer.status_code == 202, answer.text
    yield name
    kube.forget(name)
    _released(kube, name)


def _released(kube: Kube, name: str) -> None:
    """Give the quota back, as the worker does."""
    reservations = kube.read("teams", "science").get("status", {}).get("reservations", {})
    gone = {key: None for key in reservations if key.partition("/")[0] == name}
    kube.patch("teams", "science", {"status": {"reservations": gone, "reserved": None}}, "/status")


@pytest.fixture
def cleanup(kube: Kube) -> Iterator[list[str]]:
    """Names of virtual clusters that the test makes; they are gone afterwards."""
    names: list[str] = []
    yield names
    for name in names:
        kube.forget(name)
        _released(kube, name)
