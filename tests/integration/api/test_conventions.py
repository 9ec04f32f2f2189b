"""What every route has in common: pages, problems, headers, streams, the log."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2

from builders.api_process import TOKEN, Running, start_api, stop, wanted

from .conftest import MakeTeam


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


def logged(running: Running, request_id: str) -> dict[str, Any]:
    """The line of one request; it is written after the answer."""
    for _ in range(100):
        lines = [json.loads(line) for line in running.log.read_text().splitlines()]
        if mine := [x for x in lines if x.get("request_id") == request_id]:
            found: dict[str, Any] = mine[-1]
            return found
        time.sleep(0.1)
    raise AssertionError(f"no line of {request_id}")


def test_the_log_is_json_and_holds_no_secret(running: Running, api: httpx2.Client) -> None:
    answer = api.get("/v1/virtual-clusters/logged-one")
    line = logged(running, answer.headers["x-request-id"])
    assert (line["event"], line["virtual_cluster"]) == ("request", "logged-one")
    assert line["caller"] == "admin"
    stranger = api.get("/v1/virtual-clusters/logged-one", headers={"Authorization": "Bearer no"})
    assert "caller" not in logged(running, stranger.headers["x-request-id"])
    assert TOKEN not in running.log.read_text()


def test_lines_say_team_virtual_cluster_and_operation(
    running: Running, api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="2")

    def told(answer: httpx2.Response) -> tuple[str | None, ...]:
        line = logged(running, answer.headers["x-request-id"])
        assert line["caller"] == "admin"
        return tuple(line.get(key) for key in ("team", "virtual_cluster", "operation"))

    made = api.post("/v1/virtual-clusters", json=wanted("lined", team, quota={"cpu": "1"}))
    operation = made.json()["operation"]["id"]
    path, headers = "/v1/virtual-clusters/lined", {"If-Match": "*"}
    assert told(made) == (team, "lined", operation)
    assert told(api.get(f"/v1/operations/{operation}")) == (team, "lined", operation)
    assert told(api.get(path)) == (team, "lined", None)
    changed = api.patch(path, json={"spec": {"divisible": True}}, headers=headers)
    assert told(changed) == (team, "lined", changed.json()["operation"]["id"])
    gone = api.delete(path, headers=headers)
    assert told(gone) == (team, "lined", gone.json()["operation"]["id"])
    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    with running.client() as alone:  # the server closes the connection of a refused upgrade
        refused = alone.get(f"{path}/kubernetes/api/v1", headers={**upgrade, "Authorization": ""})
    line = logged(running, refused.json()["request_id"])
    assert (line["event"], line["virtual_cluster"]) == ("websocket", "lined")
    over = api.post("/v1/virtual-clusters", json=wanted("unlined", team, quota={"cpu": "9"}))
    assert (over.status_code, told(over)) == (409, (team, "unlined", None))
    asked = api.post(
        "/v1/quota-requests", json={"team": team, "quota": {"cpu": "9"}, "reason": "x"}
    )
    assert asked.status_code == 201, asked.text
    assert told(asked) == (team, None, None)
    decision = f"/v1/quota-requests/{asked.json()['name']}"
    assert told(api.get(decision)) == (team, None, None)
    assert told(api.get("/v1/operations/none.1")) == (None, None, None)
