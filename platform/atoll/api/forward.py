"""The routes into virtual clusters. Another process, the gateway, holds the credentials for them;
this one passes requests on and answers back as streams, with the caller's own token.
"""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import httpx2
from fastapi import APIRouter, Depends, Request, params
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from atoll.api import forwarded
from atoll.api.problems import COMMON, documented
from atoll.auth import require
from atoll.contract.base import Page
from atoll.contract.ray import RayClusterCreate, RayClusterRead, RayJobCreate, RayJobRead
from atoll.contract.virtual_clusters import Credential
from atoll.errors import UnauthenticatedError, UnavailableError
from atoll.resources.meta import Model

router = APIRouter(tags=["into virtual clusters"])
TIMEOUT = httpx2.Timeout(75.0, connect=2.0, read=3700.0)
"""Reads may be silent for long: watches and followed logs. The gateway has the finer limits."""
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection",
     b"te", b"trailer", b"trailers", b"transfer-encoding", b"upgrade")
)  # fmt: skip
_SET_HERE = frozenset((b"x-request-id",))
_BY_SERVER = frozenset((b"date", b"server"))

Headers = list[tuple[bytes, bytes]]


def end_to_end(headers: Iterable[tuple[bytes, bytes]], without: frozenset[bytes]) -> Headers:
    """The headers that are meant for the far end: no hop-by-hop ones, none that Connection names."""
    kept = [(name.lower(), value) for name, value in headers]
    named = {
        part.strip().lower()
        for name, value in kept
        if name == b"connection"
        for part in value.split(b",")
    }
    return [(n, v) for n, v in kept if n not in _HOP_BY_HOP and n not in named and n not in without]


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for piece in request.stream():
        if piece:
            yield piece


def _has_body(request: Request) -> bool:
    return "content-length" in request.headers or "transfer-encoding" in request.headers


async def forward(request: Request) -> Response:
    """Pass this request to the gateway. UnavailableError when it does not answer."""
    client: httpx2.AsyncClient = request.app.state.gateway
    path = request.scope.get("raw_path") or request.url.path.encode()
    query = request.scope["query_string"]
    headers = end_to_end(request.scope["headers"], _SET_HERE)
    headers.append((b"x-request-id", request.state.request_id.encode()))
    passed = client.build_request(
        request.method,
        httpx2.URL(str(client.base_url)).copy_with(
            raw_path=path + (b"?" + query if query else b"")
        ),
        headers=headers,
        content=_body(request) if _has_body(request) else None,
    )
    try:
        answer = await client.send(passed, stream=True)
    except httpx2.HTTPError as error:
        raise UnavailableError(
            "The gateway into virtual clusters does not answer; try again in a moment",
            code="gateway_unavailable",
        ) from error
    except ClientDisconnect:
        return Response(status_code=499)
    response = StreamingResponse(
        answer.aiter_raw(), answer.status_code, background=BackgroundTask(answer.aclose)
    )
    response.raw_headers = end_to_end(answer.headers.raw, _BY_SERVER | _SET_HERE)
    return response


def _refuse_without_token(request: Request) -> None:
    """Tokens of virtual clusters are known to their own API servers only; but there must be one."""
    if not request.headers.get("authorization"):
        raise UnauthenticatedError(
            "This needs a token of the virtual cluster; `atoll kubeconfig get` makes a kubeconfig that "
            "fetches one"
        )


_TENANT_TOKEN = [Depends(_refuse_without_token)]
_CONNECT = [Depends(require("virtual-clusters:connect"))]
_READ = [Depends(require("ray:read"))]
_WRITE = [Depends(require("ray:write"))]
_ROOT = "/v1/virtual-clusters/{virtual_cluster}"


@dataclass(frozen=True)
class Way:
    """One forwarded route, and what it is in the OpenAPI document."""

    method: str
    path: str
    guard: list[params.Depends]
    summary: str
    words: str
    takes: tuple[forwarded.Declared, ...] = ()
    body: type[Model] | None = None
    answer: Any = None
    status: int = 200
    text: bool = False
    headers: forwarded.Declared | None = None
    refuses: tuple[int, ...] = ()


WAYS = (
    Way(
        "POST", "/credentials", _CONNECT, "A short-lived token for its Kubernetes API",
        "The token is of the ServiceAccount that fits your role: `owner` for admins, else `viewer`. Every "
        "request makes a new token: tokens are stored nowhere, so an Idempotency-Key has no effect here.",
        (forwarded.EXPIRES,), answer=Credential, status=201,
    ),
    Way(
        "GET", "/ray-clusters", _READ, "Ray clusters in it",
        "All Ray clusters of all its namespaces, whoever made them, by name.",
        forwarded.PAGE, answer=Page[RayClusterRead],
    ),
    Way(
        "POST", "/ray-clusters", _WRITE, "A new Ray cluster",
        "It has the Ray version of the profile, waits in the team's queue, and lives until it is deleted. "
        "The answer is the RayCluster as it was written: `GET` it until its `state` is `ready`.",
        (forwarded.DRY_RUN, forwarded.KEY), RayClusterCreate, RayClusterRead, 201,
        headers=forwarded.LOCATION | forwarded.ETAG,
    ),
    Way(
        "GET", "/ray-clusters/{name}", _READ, "One Ray cluster",
        "Its state, and in `message` what it waits for or why it failed.",
        (forwarded.RAY_CLUSTER, forwarded.NAMESPACE), answer=RayClusterRead,
        headers=forwarded.ETAG,
    ),
    Way(
        "DELETE", "/ray-clusters/{name}", _WRITE, "Delete a Ray cluster",
        "KubeRay stops its pods and takes its keys out of Redis first; until then `GET` answers with the "
        "state `deleting`, and after that with 404. One that `spec.rayClusters` of the virtual cluster "
        "keeps has to be taken out there.",
        (forwarded.RAY_CLUSTER, forwarded.NAMESPACE, forwarded.IF_MATCH),
        answer=RayClusterRead, status=202, refuses=(412,),
    ),
    Way(
        "GET", "/ray-clusters/{name}/logs", _READ, "Logs of its pods",
        "What the first container of the head, or of the pod you name, wrote.",
        (forwarded.RAY_CLUSTER, forwarded.POD, forwarded.FOLLOW, forwarded.TAIL, forwarded.NAMESPACE),
        text=True,
    ),
    Way(
        "GET", "/ray-jobs", _READ, "Ray jobs in it",
        "The jobs of every Ray cluster that is ready, and all RayJob resources, by name.",
        (forwarded.CLUSTER, *forwarded.PAGE), answer=Page[RayJobRead], headers=forwarded.INCOMPLETE,
    ),
    Way(
        "POST", "/ray-jobs", _WRITE, "Submit a Ray job",
        "The Ray cluster must be ready. The answer is the job as Ray took it: `GET` it, or follow its "
        "logs, until its `status` is SUCCEEDED, FAILED or STOPPED.",
        (forwarded.KEY,), RayJobCreate, RayJobRead, 201, headers=forwarded.LOCATION,
    ),
    Way(
        "GET", "/ray-jobs/{name}", _READ, "One Ray job",
        "Where several Ray clusters have a job of that name, `cluster` says which; without it: 409.",
        (forwarded.RAY_JOB, forwarded.CLUSTER), answer=RayJobRead,
    ),
    Way(
        "DELETE", "/ray-jobs/{name}", _WRITE, "Stop and delete a Ray job",
        "Stops it when it runs, which takes up to ten seconds (409 `stopping` after that: delete it "
        "again), and forgets it together with its log.",
        (forwarded.RAY_JOB, forwarded.CLUSTER), status=204,
    ),
    Way(
        "GET", "/ray-jobs/{name}/logs", _READ, "Logs of a Ray job",
        "What its driver wrote; with `follow`, also what it writes until it ends.",
        (forwarded.RAY_JOB, forwarded.FOLLOW, forwarded.CLUSTER), text=True,
    ),
)  # fmt: skip


def _add(way: Way) -> None:
    extra: dict[str, Any] = {"parameters": [forwarded.VIRTUAL_CLUSTER, *way.takes]}
    if way.body:
        schema = {"$ref": f"#/components/schemas/{way.body.__name__}"}
        content = {"application/json": {"schema": schema}}
        extra["requestBody"] = {"required": True, "content": content}
    done: dict[str, Any] = {"description": way.summary}
    if way.answer:
        done["model"] = way.answer
    if way.text:
        done["content"] = {"text/plain": {"schema": {"type": "string"}}}
    if way.headers:
        done["headers"] = way.headers
    router.add_api_route(
        _ROOT + way.path,
        forward,
        methods=[way.method],
        dependencies=way.guard,
        summary=way.summary,
        description=way.words,
        operation_id=f"{way.method.lower()}{way.path.replace('/', '_').replace('{name}', 'one')}",
        name=f"{way.method.lower()} {way.path}",
        status_code=way.status,
        response_class=Response,
        response_model=None,
        responses={
            **COMMON,
            **documented(404, 409, *((413,) if way.body else ()), *way.refuses),
            way.status: done,
        },
        openapi_extra=extra,
    )


for _way in WAYS:
    _add(_way)
_SAFE = ["GET", "HEAD", "OPTIONS"]
_UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]
for _path, _guard, _methods in (
    ("/ray-clusters/{name}/proxy", _READ, _SAFE),
    ("/ray-clusters/{name}/proxy", _WRITE, _UNSAFE),
    ("/ray-clusters/{name}/proxy/{path:path}", _READ, _SAFE),
    ("/ray-clusters/{name}/proxy/{path:path}", _WRITE, _UNSAFE),
    ("/kubernetes", _TENANT_TOKEN, _SAFE + _UNSAFE),
    ("/kubernetes/{path:path}", _TENANT_TOKEN, _SAFE + _UNSAFE),
):
    router.add_api_route(
        _ROOT + _path, forward, methods=_methods, dependencies=_guard, include_in_schema=False
    )
