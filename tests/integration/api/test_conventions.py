"""What every route has in common: problems, tags, pages, keys, streams, trouble with parts."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from builders.api_process import TOKEN, Running, profile, start_api, stop, wanted

MakeTeam = Callable[..., str]


def test_team_life(api: httpx2.Client) -> None:
    body = {"name": "life", "spec": {"quota": {"cpu": {"limit": 4}}, "displayName": "Life"}}
    made = api.post("/v1/teams", json=body)
    assert (made.status_code, made.headers["location"]) == (201, "/v1/teams/life")
    assert api.post("/v1/teams", json=body).json()["code"] == "exists"
    path, etag = "/v1/teams/life", made.headers["etag"]
    changed = api.patch(
        path, json={"spec": {"quota": {"cpu": {"limit": "8"}}}}, headers={"If-Match": etag}
    )
    assert changed.status_code == 200
    spec = changed.json()["spec"]
    assert (spec["displayName"], spec["quota"]) == ("Life", {"cpu": {"limit": "8"}})
    assert api.delete(path, headers={"If-Match": etag}).status_code == 412
    refused = api.patch(path, json={"name": "x", "spec": {}}, headers={"If-Match": "*"})
    assert refused.json()["errors"][0]["pointer"] == "/name"
    assert api.delete(path, headers={"If-Match": "*"}).status_code == 204
    assert api.get(path).json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({"quota": {"cpu": {"limit": "many"}}}, "/spec/quota/cpu/limit"),
        ({"quota": {"cpu": {"limit": "2", "guaranteed": "3"}}}, "/spec/quota/cpu/guaranteed"),
        ({"quota": {"gpu": {"limit": "2"}}}, "/spec/quota/gpu"),
        ({"members": [{"name": "ann"}, {"name": "ann"}]}, "/spec/members/1/name"),
        ({"members": [{"name": "ann", "role": "king"}]}, "/spec/members/0/role"),
        ({"profiles": ["default", "nope"]}, "/spec/profiles/1"),
    ],
)
def test_bad_teams(api: httpx2.Client, spec: dict[str, Any], pointer: str) -> None:
    answer = api.post("/v1/teams", json={"name": "bad-team", "spec": spec})
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]


def test_wrong_fields_are_told_in_plain_words_wherever_they_are(api: httpx2.Client) -> None:
    spec = {"quota": {"cpu": "4"}, "members": "ann", "displayName": 5}
    told = {
        e["pointer"]: e["detail"]
        for e in api.post("/v1/teams", json={"name": "plain", "spec": spec}).json()["errors"]
    }
    assert told == {
        "/spec/quota/cpu": 'must be an object of names and values; "4" was given',
        "/spec/members": 'must be a list; "ann" was given',
        "/spec/displayName": "must be text; 5 was given",
    }
    (query,) = api.get("/v1/teams", params={"limit": "many"}).json()["errors"]
    assert query == {
        "pointer": "/query/limit",
        "detail": 'must be a whole number; "many" was given',
    }
    (body,) = api.post("/v1/teams", json=[1]).json()["errors"]
    assert body["detail"] == "must be an object of names and values; a list was given"


def test_a_team_may_be_given_profiles_that_are_there_and_keeps_one_that_is_deleted(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    path, anyway = f"/v1/teams/{make_team()}", {"If-Match": "*"}

    def patch(**spec: Any) -> httpx2.Response:
        return api.patch(path, json={"spec": spec}, headers=anyway)

    api.post("/v1/profiles", json=profile("passing")).raise_for_status()
    assert patch(profiles=["default", "passing"]).status_code == 200
    refused = patch(profiles=["nope"])
    assert refused.status_code == 422
    (problem,) = refused.json()["errors"]
    assert problem["pointer"] == "/spec/profiles/0"
    assert "there is no profile 'nope'" in problem["detail"]
    assert "default" in problem["detail"]
    assert api.get(path).json()["spec"]["profiles"] == ["default", "passing"]
    api.delete("/v1/profiles/passing", headers=anyway).raise_for_status()
    assert patch(displayName="Later").status_code == 200


def test_versions_known_not_to_work_are_refused(api: httpx2.Client) -> None:
    body = profile("old", kubernetes="1.33.4")
    body["spec"]["vcluster"]["chart"]["version"] = "0.36.0"
    answer = api.post("/v1/profiles", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/spec/vcluster/chart/version"


def test_kubernetes_does_not_go_back_and_retired_profiles_are_closed(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    api.post("/v1/profiles", json=profile("k34", "1.34.0")).raise_for_status()
    retired = profile("retired")
    retired["spec"]["retired"] = True
    api.post("/v1/profiles", json=retired).raise_for_status()
    api.post("/v1/virtual-clusters", json=wanted("versions", make_team())).raise_for_status()
    for name, words in (("k34", "cannot go back"), ("retired", "retired")):
        answer = api.patch(
            "/v1/virtual-clusters/versions",
            json={"spec": {"profile": name}},
            headers={"If-Match": "*"},
        )
        assert answer.status_code == 422
        assert words in answer.json()["detail"]


def test_a_profile_in_use_goes_one_step_forward_and_never_back(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    api.post("/v1/profiles", json=profile("followed", "1.34.2")).raise_for_status()

    def patch(part: str, version: str, query: str = "") -> httpx2.Response:
        change = {"version": version} if part == "kubernetes" else {"chart": {"version": version}}
        return api.patch(
            f"/v1/profiles/followed{query}", json={"spec": {part: change}},
            headers={"If-Match": "*"},
        )  # fmt: skip

    assert patch("kubernetes", "1.36.0").status_code == 200  # nobody follows it yet
    assert patch("kubernetes", "1.34.2").status_code == 200
    body = wanted("follower", make_team(), profile="followed")
    api.post("/v1/virtual-clusters", json=body).raise_for_status()
    for part, version, pointer, words in (
        ("kubernetes", "1.33.9", "/spec/kubernetes/version", "cannot go back"),
        ("kubernetes", "1.36.3", "/spec/kubernetes/version", "go to 1.35 first"),
        ("kuberay", "1.6.2", "/spec/kuberay/chart/version", "KubeRay cannot go back"),
        ("vcluster", "0.36.0", "/spec/vcluster/chart/version", "vcluster cannot go back"),
    ):
        for query in ("", "?dry_run=server"):
            refused = patch(part, version, query)
            problem = refused.json()
            assert (refused.status_code, problem["code"]) == (409, "in_use"), problem
            assert problem["virtual_clusters"] == ["follower"]
            assert "follower" in problem["detail"]
            assert words in problem["detail"]
            assert [e["pointer"] for e in problem["errors"]] == [pointer]
    for part, version in (("kubernetes", "1.35.1"), ("kubernetes", "1.35.0"), ("kuberay", "1.8.0")):
        assert patch(part, version).status_code == 200
    # A virtual cluster cannot go back by way of another profile either.
    older = profile("older", "1.36.3")
    older["spec"]["kuberay"]["chart"]["version"] = "1.6.2"
    api.post("/v1/profiles", json=older).raise_for_status()
    moved = api.patch(
        "/v1/virtual-clusters/follower", json={"spec": {"profile": "older"}},
        headers={"If-Match": "*"},
    )  # fmt: skip
    assert (moved.status_code, moved.json()["errors"][0]["pointer"]) == (422, "/spec/profile")
    assert "KubeRay cannot go back" in moved.json()["detail"]


def test_pages_follow_the_cursor(api: httpx2.Client) -> None:
    for index in range(5):
        api.post("/v1/teams", json={"name": f"page-{index}"}).raise_for_status()
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = api.get(
            "/v1/teams", params={"limit": 2, **({"cursor": cursor} if cursor else {})}
        ).json()
        assert len(page["items"]) <= 2
        seen += [t["name"] for t in page["items"]]
        cursor = page.get("next")
    assert seen == sorted(set(seen))
    assert {f"page-{i}" for i in range(5)} <= set(seen)
    assert api.get("/v1/teams?cursor=nonsense").status_code == 422
    assert api.get("/v1/teams?limit=201").json()["errors"][0]["pointer"] == "/query/limit"


def test_requests_that_cannot_be_read(api: httpx2.Client) -> None:
    headers = {"Content-Type": "application/json"}
    assert api.post("/v1/teams", content=b"{", headers=headers).json()["status"] == 400
    large = b'{"name":"' + b"x" * 1_100_000 + b'"}'
    refused = api.post("/v1/teams", content=large, headers=headers)
    assert (refused.status_code, refused.json()["size"]) == (413, len(large))
    in_pieces = api.post("/v1/teams", content=iter([large[:600_000], large]), headers=headers)
    assert (in_pieces.status_code, in_pieces.json()["limit"]) == (413, 1024 * 1024)
    assert in_pieces.headers["x-request-id"] == in_pieces.json()["request_id"]
    assert api.put("/v1/teams").json()["code"] == "method_not_allowed"
    assert api.get("/v1/nothing").json()["code"] == "not_found"
    assert api.get("/v1/teams/%2e%2e%2fprofiles").status_code == 404
    patch = api.patch(
        "/v1/teams/x", content=b"a: 1", headers={"If-Match": "*", "Content-Type": "text/yaml"}
    )
    assert patch.status_code == 415


def test_answers_carry_security_headers_and_metrics_count_templates(api: httpx2.Client) -> None:
    answer = api.get("/v1/teams/none-of-that-name")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    text = api.get("/metrics").text
    assert 'route="/v1/teams/{team}",status="404"' in text
    assert "none-of-that-name" not in text


def test_whoami_and_docs(api: httpx2.Client) -> None:
    assert api.get("/v1/whoami").json() == {"name": "admin", "roles": ["admin"]}
    assert "/v1/teams/{team}" in api.get("/docs").text
    assert 'id="quota_exceeded"' in api.get("/docs/problems").text


def read_events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in lines:
        if not line and event:
            if "data" in event:
                yield event
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def test_events_send_the_present_state_then_changes_and_resume(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team()
    api.post("/v1/virtual-clusters", json=wanted("told", team)).raise_for_status()
    path = "/v1/virtual-clusters/told"
    with api.stream("GET", f"/v1/events?team={team}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = read_events(answer.iter_lines())
        first = next(events)
        assert first["event"] == "virtual-cluster.changed"
        assert json.loads(first["data"])["object"]["name"] == "told"
        api.patch(path, json={"spec": {"divisible": True}}, headers={"If-Match": "*"})
        second = next(events)
        assert json.loads(second["data"])["object"]["spec"]["divisible"] is True
        assert int(second["id"]) > int(first["id"])
    api.patch(path, json={"spec": {"divisible": False}}, headers={"If-Match": "*"})
    with api.stream("GET", f"{path}/events", headers={"Last-Event-ID": second["id"]}) as answer:
        missed = next(read_events(answer.iter_lines()))
        assert json.loads(missed["data"])["object"]["spec"]["divisible"] is False
    assert api.get("/v1/virtual-clusters/not-there/events").status_code == 404


def test_a_stream_does_not_hold_up_the_end(tmp_path: Path, api_server: Path, broker: str) -> None:
    running = start_api(tmp_path, api_server, broker)
    with running.client() as client, client.stream("GET", "/v1/events") as answer:
        lines = answer.iter_lines()
        next(lines)
        assert stop(running) == 0
    assert not (tmp_path / "api.json").exists()


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
    workers = health.json()["parts"]["workers"]
    assert not workers["ok"]
    assert "none answers: changes are accepted" in workers["message"]
    with running.client(token=None) as visitor:
        form = {"data": {"token": TOKEN}, "headers": {"Origin": running.url}}
        assert visitor.post("/login", **form).status_code == 303  # type: ignore[arg-type]
        page = visitor.get("/virtual-clusters/unattended").text
    assert "No worker answers: changes are accepted" in page


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


class Echo(BaseHTTPRequestHandler):
    """Stands where the gateway is; says what it got."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = {
            "path": self.path,
            "headers": {k.lower(): v for k, v in self.headers.items()},
            "bytes": len(self.rfile.read(length)),
        }
        text = json.dumps(body).encode()
        self.send_response(418)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-From", "gateway")
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST  # noqa: N815 - the base class names it

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("way", ["ray-clusters", "ray-jobs", "credentials"])
def test_what_is_read_whole_behind_the_gateway_is_limited_too(api: httpx2.Client, way: str) -> None:
    answer = api.post(f"/v1/virtual-clusters/some/{way}", content=b"x" * 1_200_000)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (413, "too_large"), problem
    assert problem["limit"] == 1024 * 1024 < problem["size"]
    assert str(problem["limit"]) in problem["detail"]


def test_forwarding(tmp_path: Path, api_server: Path, broker: str, api: httpx2.Client) -> None:
    path = "/v1/virtual-clusters/some/kubernetes/api/v1/a%2Fb?watch=1&x=%20"
    away = api.get(path)
    assert (away.status_code, away.json()["code"]) == (503, "gateway_unavailable")
    gateway = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=gateway.serve_forever, daemon=True).start()
    running = start_api(
        tmp_path, api_server, broker, ATOLL_GATEWAY_URL=f"http://127.0.0.1:{gateway.server_port}"
    )
    try:
        with running.client() as client:
            answer = client.post(
                path, content=b"x" * 2_000_000, headers={"X-Own": "1", "TE": "trailers"}
            )
            assert (answer.status_code, answer.headers["x-from"]) == (418, "gateway")
            got = answer.json()
            assert got["path"] == path
            assert got["bytes"] == 2_000_000
            assert got["headers"]["authorization"] == f"Bearer {TOKEN}"
            assert got["headers"]["x-own"] == "1"
            assert "te" not in got["headers"]
            assert got["headers"]["x-request-id"] == answer.headers["x-request-id"]
        with running.client(token=None) as stranger:
            assert stranger.post(path).status_code == 401
    finally:
        gateway.shutdown()
        gateway.server_close()
        assert stop(running) == 0


def test_the_log_is_json_and_holds_no_secret(running: Running, api: httpx2.Client) -> None:
    api.get("/v1/virtual-clusters/logged-one")
    mine: list[dict[str, Any]] = []
    for _ in range(20):  # the line is written after the answer
        lines = [json.loads(line) for line in running.log.read_text().splitlines()]
        if mine := [x for x in lines if x.get("virtual_cluster") == "logged-one"]:
            break
        time.sleep(0.1)
    assert mine[-1]["event"] == "request"
    assert mine[-1]["request_id"]
    assert TOKEN not in running.log.read_text()
