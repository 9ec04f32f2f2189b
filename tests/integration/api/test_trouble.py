"""The API without a queue, without a worker, without Kubernetes for a while."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2

from builders.api_process import TOKEN, Running, start_api, stop, wanted
from waiting import until

from .conftest import MakeTeam


def test_without_a_queue_changes_are_accepted_quickly_and_say_so(
    tmp_path: Path, api_server: Path, make_team: MakeTeam
) -> None:
    team = make_team()
    with socket.socket() as deaf:  # takes connections and never says a word
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(16)
        running = start_api(tmp_path, api_server, f"redis://127.0.0.1:{deaf.getsockname()[1]}/0")
        try:
            with running.client() as client:
                for index in range(2):
                    answer = client.post(
                        "/v1/virtual-clusters", json=wanted(f"unheard-{index}", team)
                    )
                    assert answer.status_code == 202
                    assert "queue" in answer.json()["operation"]["warning"]
                health = client.get("/v1/health")
                assert (health.status_code, health.json()["status"]) == (200, "degraded")
                assert not health.json()["parts"]["queue"]["ok"]
                assert "not known" in health.json()["parts"]["workers"]["message"]
                assert health.json()["parts"]["kubernetes"]["ok"]
        finally:
            assert stop(running) == 0


def test_without_a_worker_health_and_the_page_of_what_waits_say_so(
    running: Running, api: httpx2.Client, make_team: MakeTeam
) -> None:
    api.post("/v1/virtual-clusters", json=wanted("unattended", make_team())).raise_for_status()
    health = api.get("/v1/health")
    assert health.status_code == 200
    assert not health.json()["parts"]["workers"]["ok"]
    # On a busy machine the queue may be too slow to be asked: that is not known then.
    words = "none answers: changes are accepted"
    until(lambda: words in api.get("/v1/health").json()["parts"]["workers"]["message"], words, 60)
    with running.client(token=None) as visitor:
        form = {"data": {"token": TOKEN}, "headers": {"Origin": running.url}}
        assert visitor.post("/login", **form).status_code == 303  # type: ignore[arg-type]
        words = "No worker answers: changes are accepted"
        until(lambda: words in visitor.get("/virtual-clusters/unattended").text, words, 60)


def test_starts_without_kubernetes_and_comes_back_with_it(
    tmp_path: Path, api_server: Path, broker: str
) -> None:
    text = api_server.read_text()
    port = int(text.split("https://127.0.0.1:")[1].split()[0])
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        away = reserved.getsockname()[1]
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(text.replace(f":{port}", f":{away}"))
    running = start_api(tmp_path, kubeconfig, broker)
    try:
        with running.client() as client:
            refused = client.get("/v1/teams")
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert refused.headers["retry-after"]
            assert not client.get("/v1/health").json()["parts"]["kubernetes"]["ok"]
            with relay(away, port):
                deadline = time.monotonic() + 15
                while not client.get("/v1/health").json()["parts"]["kubernetes"]["ok"]:
                    assert time.monotonic() < deadline
                    time.sleep(0.3)
                assert client.get("/v1/teams").status_code == 200
    finally:
        assert stop(running) == 0


@contextmanager
def relay(here: int, there: int) -> Iterator[None]:
    """Pass TCP connections on from one port of this machine to another."""
    server = socket.create_server(("127.0.0.1", here))
    sockets = [server]

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)  # wakes the thread of the other direction
                end.close()

    def serve() -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", there))
            sockets.extend((near, far))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR)
        accepting.join(5)
        server.close()
        for one in sockets[1:]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
