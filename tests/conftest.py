"""Real things that tests share: an API server of their own, and a Redis of their own."""

import base64
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import hypothesis
import pytest
import yaml

from atoll.hosts.toolchain import Toolchain
from atoll.resources.crds import RESOURCES, crd

# A busy machine takes as long as it takes; what an example may cost is no matter of the clock.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

CACHE = Path(os.environ.get("ATOLL_CACHE", Path.home() / ".cache" / "atoll")) / "bin"


def free_ports(count: int) -> list[int]:
    """So many different ones: asked one after another, the system may name the same port again."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def binary(name: str) -> str:
    """From the toolchain: found, downloaded or built."""
    found = shutil.which(name) or (str(CACHE / name) if (CACHE / name).exists() else None)
    if found:
        return found
    return str(Toolchain().path(name))


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a real kube-apiserver with our custom resources, shared by all tests."""
    yield from run_api_server(tmp_path_factory.mktemp("api-server"))


def run_api_server(folder: Path) -> Iterator[Path]:
    """A kube-apiserver with an etcd of its own and our custom resources, until the generator ends."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> None:
        with (folder / f"{name}.log").open("wb") as log:
            started.append(subprocess.Popen([binary(name), *arguments], stdout=log, stderr=log))

    client, peer, port = free_ports(3)
    start(
        "etcd", "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync",
        "--listen-client-urls", f"http://127.0.0.1:{client}",
        "--advertise-client-urls", f"http://127.0.0.1:{client}",
        "--listen-peer-urls", f"http://127.0.0.1:{peer}",
        "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
        "--initial-cluster", f"default=http://127.0.0.1:{peer}",
    )  # fmt: skip
    subprocess.run(
        ["openssl", "genrsa", "-out", str(folder / "sa.key"), "2048"],
        check=True,
        capture_output=True,
    )
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f"{token},admin,admin,system:masters\n")
    (folder / "tokens.csv").chmod(0o600)
    start(
        "kube-apiserver", "--etcd-servers", f"http://127.0.0.1:{client}",
        "--secure-port", str(port), "--bind-address", "127.0.0.1",
        "--cert-dir", str(folder / "certs"), "--token-auth-file", str(folder / "tokens.csv"),
        "--service-account-issuer", "https://kubernetes.default.svc",
        "--service-account-key-file", str(folder / "sa.key"),
        "--service-account-signing-key-file", str(folder / "sa.key"),
        "--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.97.0.0/16",
        "--disable-admission-plugins", "ServiceAccount",
    )  # fmt: skip
    kubeconfig = folder / "kubeconfig"
    _wait_ready(port, token, folder)
    ca = base64.b64encode((folder / "certs" / "apiserver.crt").read_bytes()).decode()
    kubeconfig.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "t",
        "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
        "clusters": [{"name": "t", "cluster": {
            "server": f"https://127.0.0.1:{port}", "certificate-authority-data": ca}}],
        "users": [{"name": "t", "user": {"token": token}}],
    }))  # fmt: skip
    kubeconfig.chmod(0o600)
    _apply_crds(port, token)
    yield kubeconfig
    for process in reversed(started):
        process.terminate()
        process.wait(20)


def _client(port: int, token: str) -> httpx2.Client:
    return httpx2.Client(
        base_url=f"https://127.0.0.1:{port}",
        verify=False,
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )


def _wait_ready(port: int, token: str, folder: Path) -> None:
    with _client(port, token) as client:
        for _ in range(240):
            try:
                if client.get("/readyz").status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            time.sleep(0.25)
    pytest.fail((folder / "kube-apiserver.log").read_text()[-2000:])


def _apply_crds(port: int, token: str) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    with _client(port, token) as client:
        for resource in RESOURCES:
            client.post(path, json=crd(resource)).raise_for_status()
        for resource in RESOURCES:
            for _ in range(100):
                if client.get(f"/apis/atoll.dev/v1alpha1/{resource.PLURAL}").status_code == 200:
                    break
                time.sleep(0.1)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A real Redis of the test's own."""
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [
            "redis-server",
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(tmp_path),
            "--save",
            "",
        ],
        stdout=subprocess.DEVNULL,
    )
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait(10)


_ORDER = ("unit", "charts", "integration", "e2e", "portal")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first, and the browser's last: Playwright's synchronous face keeps an event loop
    running until the session ends, in which no asynchronous test can run any more.
    """

    def place(item: pytest.Item) -> int:
        parts = item.path.relative_to(Path(__file__).parent).parts
        browser = parts[:2] == ("integration", "portal")
        return _ORDER.index("portal" if browser else parts[0])

    items.sort(key=place)
