"""The HTTP contract of our API in memory: answers that a test lines up, and what was asked."""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx2

from atoll.errors import AtollError, NotFoundError

Answer = Callable[[httpx2.Request], httpx2.Response] | httpx2.Response | AtollError | dict[str, Any]


class Stream(httpx2.SyncByteStream):
    """Pieces of a body, and then an error in place of the end when there is one."""

    def __init__(self, pieces: Iterable[str], error: Exception | None = None) -> None:
        self.pieces, self.error = pieces, error

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            yield piece.encode()
        if self.error:
            raise self.error


class FakeApi:
    """Give `when("GET", "teams", answer)`; several answers to one request come one after another."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], list[Answer]] = {}
        self.asked: list[httpx2.Request] = []
        self.transport = httpx2.MockTransport(self._handle)

    def when(self, method: str, path: str, *answers: Answer) -> None:
        self._answers[method, f"/v1/{path}"] = list(answers)

    def bodies(self, method: str) -> list[Any]:
        return [json.loads(r.content) for r in self.asked if r.method == method and r.content]

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.asked.append(request)
        missing: list[Answer] = [NotFoundError(f"There is nothing at {request.url.path}")]
        queue = self._answers.get((request.method, request.url.path), missing)
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, AtollError):
            body = {**answer.problem(), "request_id": "req-1"}
            return httpx2.Response(answer.status, json=body)
        if isinstance(answer, dict):
            return httpx2.Response(200, json=answer)
        return answer if isinstance(answer, httpx2.Response) else answer(request)


def team(name: str, **quota: str) -> dict[str, Any]:
    limits = {key: {"limit": value} for key, value in quota.items()}
    return {
        "name": name, "uid": f"uid-{name}", "revision": "7", "generation": 1,
        "createdAt": "2026-01-01T00:00:00Z",
        "spec": {"displayName": "", "members": [], "profiles": [], "schedulers": [], "quota": limits},
        "status": {
            "observedGeneration": 1, "conditions": [], "reservations": {}, "reserved": {},
            "used": {}, "free": {},
        },
    }  # fmt: skip


def step(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": f"Do {name}",
        "state": state,
        "reason": "",
        "message": "",
        **more,
    }


def virtual_cluster(
    name: str, phase: str = "Ready", steps: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    return {
        "name": name, "uid": f"uid-{name}", "revision": "9", "generation": 1,
        "createdAt": "2026-01-01T00:00:00Z",
        "spec": {
            "team": "vision", "profile": "default", "mode": "dedicated",
            "replicaSets": {"4c8g": 1}, "divisible": False, "quota": {}, "rayClusters": [],
            "values": {},
        },
        "status": {"phase": phase, "observedGeneration": 1, "conditions": [], "steps": steps or []},
        "operation": {"id": f"uid-{name}.1", "href": f"/v1/operations/uid-{name}.1"},
    }  # fmt: skip


def operation(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"uid-{name}.1", "kind": "VirtualCluster", "target": name, "action": "create",
        "state": state, "percent": 50, "steps": [], "message": "", **more,
    }  # fmt: skip


def event(identity: str, found: dict[str, Any], kind: str = "changed") -> str:
    body = {"id": identity, "type": f"virtual-cluster.{kind}", "object": found}
    return f"id: {identity}\nevent: virtual-cluster.{kind}\ndata: {json.dumps(body)}\n\n"


def events(*texts: str, error: Exception | None = None) -> httpx2.Response:
    headers = {"Content-Type": "text/event-stream"}
    return httpx2.Response(200, headers=headers, stream=Stream(list(texts), error))
