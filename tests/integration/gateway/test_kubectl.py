"""The real kubectl through a kubeconfig of the API: with `atoll credential`, over TLS."""

import stat
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import httpx2
import pytest
import yaml

from builders.api_process import TOKEN
from builders.gateway_site import VC
from builders.ways_in import POD, STAMP, Kubectl, WaysIn, installed, played_kubelet, ways_in
from conftest import CACHE
from waiting import until

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def ways(api_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WaysIn]:
    with ways_in(tmp_path_factory.mktemp("ways"), api_server) as found:
        yield found


@pytest.fixture(scope="module")
def kubectl(ways: WaysIn, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    return Kubectl(installed("kubectl", CACHE), ways, tmp_path_factory.mktemp("home"))


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.path.encode() * 20_000
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def pod_log(
    kubectl: Kubectl, api_server: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    kwok = installed("kwok", CACHE)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    Thread(target=server.serve_forever, daemon=True).start()
    folder = tmp_path_factory.mktemp("kubelet")
    with played_kubelet(folder, api_server, kwok=kwok, forward_to=server.server_port) as log:
        yield log
    server.shutdown()
    server.server_close()


def good(done: subprocess.CompletedProcess[bytes]) -> str:
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def sockets(ways: WaysIn) -> float:
    """How many WebSockets into Kubernetes the gateway has opened."""
    page = httpx2.get(f"{ways.gateway['url']}/metrics", trust_env=False).text
    wanted = ('method="WEBSOCKET"', "/kubernetes/", 'status="101"', "_total{")
    opened = [line for line in page.splitlines() if all(word in line for word in wanted)]
    return sum(float(line.rpartition(" ")[2]) for line in opened)


def opened_one_more(ways: WaysIn, before: float) -> None:
    """Each is counted when it has ended, which is a moment after kubectl has."""
    until(lambda: sockets(ways) == before + 1, "one more WebSocket is counted")


def append(log: Path, word: str) -> None:
    with log.open("a") as file:
        file.write(f"{STAMP} stdout F {word}\n")


def test_the_gateway_says_where_it_listens_and_keeps_its_key_to_itself(ways: WaysIn) -> None:
    assert set(ways.gateway) == {"url", "tls_url", "pid"}
    assert ways.gateway["tls_url"].startswith("https://127.0.0.1:")
    _, key = ways.certificates.server
    modes = {stat.S_IMODE(f.stat().st_mode) for f in (key, key.with_name("ca.key"))}
    assert modes == {0o600}
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{ways.gateway['tls_url']}/healthz", trust_env=False)


def test_the_kubeconfig_leads_there_and_has_no_secret(ways: WaysIn) -> None:
    text = ways.kubeconfig.read_text()
    assert TOKEN not in text
    config = yaml.safe_load(text)
    cluster = config["clusters"][0]["cluster"]
    expected = f"{ways.gateway['tls_url']}/v1/virtual-clusters/{VC}/kubernetes"
    assert cluster["server"] == expected
    assert config["users"][0]["user"]["exec"]["args"][-1] == ways.api.url
    assert not text.startswith("#")


def test_get_create_and_delete(kubectl: Kubectl) -> None:
    assert "No resources found" in kubectl("get", "pods", "-l", "none=such").stderr.decode()
    good(kubectl("create", "configmap", "made", "--from-literal=a=b"))
    assert good(kubectl("get", "configmap", "made", "-o", "jsonpath={.data.a}")) == "b"
    assert "system:serviceaccount:atoll-system:owner" in good(kubectl("auth", "whoami"))
    good(kubectl("delete", "configmap", "made"))


def test_a_watch_shows_a_change_while_it_is_open(kubectl: Kubectl) -> None:
    good(kubectl("create", "configmap", "seen"))
    watch = ["get", "configmap", "seen", "--watch", "--output-watch-events", "--no-headers"]
    with kubectl.running(*watch) as watching:
        assert watching.stdout
        assert watching.stdout.readline().split()[:2] == ["ADDED", "seen"]
        good(kubectl("label", "configmap", "seen", "a=b"))
        assert watching.stdout.readline().split()[:2] == ["MODIFIED", "seen"]
        good(kubectl("delete", "configmap", "seen"))
        assert watching.stdout.readline().split()[:2] == ["DELETED", "seen"]


def test_without_a_credential_kubectl_is_refused(kubectl: Kubectl) -> None:
    done = subprocess.run(
        kubectl.argv("get", "pods"), env=kubectl.environment | {"ATOLL_TOKEN": "wrong"},
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0


def test_logs_as_they_come(kubectl: Kubectl, pod_log: Path) -> None:
    assert good(kubectl("logs", POD)) == "one\ntwo\n"
    with kubectl.running("logs", "-f", POD) as following:
        assert following.stdout
        assert [following.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
        append(pod_log, "three")
        assert following.stdout.readline() == "three\n"


def test_exec_passes_input_output_and_the_exit_code(kubectl: Kubectl, pod_log: Path) -> None:
    before = sockets(kubectl.ways)
    script = "read word; echo heard $word; echo trouble >&2; exit 7"
    done = kubectl("exec", "-i", POD, "--", "sh", "-c", script, given=b"hello\n")
    assert done.stdout == b"heard hello\n"
    assert b"trouble" in done.stderr
    # The kubelet that KWOK plays tells the code in words; a real one lets kubectl end with it.
    assert done.returncode != 0
    assert b"exit status 7" in done.stderr
    opened_one_more(kubectl.ways, before)


def test_exec_carries_much_both_ways(kubectl: Kubectl, pod_log: Path) -> None:
    much = bytes(range(256)) * 20_000
    done = kubectl("exec", "-i", POD, "--", "sh", "-c", "head -c 5120000", given=much)
    assert done.returncode == 0, done.stderr
    assert done.stdout == much


def test_exec_answers_while_it_runs(kubectl: Kubectl, pod_log: Path) -> None:
    script = "while read word; do echo heard $word; [ $word = end ] && exit; done"
    with kubectl.running("exec", "-i", POD, "--", "sh", "-c", script) as process:
        assert process.stdin
        assert process.stdout
        for word in ("first", "second", "end"):
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"heard {word}\n"
        assert process.wait(30) == 0


def test_attach_shows_what_a_program_writes(kubectl: Kubectl, pod_log: Path) -> None:
    seen = Event()

    def write() -> None:
        while not seen.wait(0.3):
            append(pod_log, "later")

    with kubectl.running("attach", POD) as attached:
        assert attached.stdout
        Thread(target=write, daemon=True).start()
        assert "later\n" in attached.stdout
        seen.set()


def test_copying_out_of_a_pod(kubectl: Kubectl, pod_log: Path, tmp_path: Path) -> None:
    (tmp_path / "from").write_text("copied")
    good(kubectl("cp", f"{POD}:{tmp_path}/from", str(tmp_path / "to")))
    assert (tmp_path / "to").read_text() == "copied"


def test_port_forward(kubectl: Kubectl, pod_log: Path) -> None:
    before = sockets(kubectl.ways)
    with kubectl.running("port-forward", f"pod/{POD}", ":8265") as forwarding:
        assert forwarding.stdout
        port = forwarding.stdout.readline().split(" -> ")[0].rpartition(":")[2]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            for path in ("/some", "/more"):
                assert client.get(path).content == path.encode() * 20_000
    opened_one_more(kubectl.ways, before)


def test_a_refused_exec_says_why(kubectl: Kubectl, pod_log: Path) -> None:
    viewer = ["--as", "system:serviceaccount:atoll-system:viewer"]
    done = kubectl("exec", POD, *viewer, "--", "true")
    assert done.returncode != 0
    assert b"forbidden" in done.stderr.lower()
    assert b"pods/exec" in done.stderr
