"""Errors on the wire: problem details, and for kubectl the shape it can show."""

import re
import uuid
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from atoll.application.validation import invalid
from atoll.errors import AtollError, NotFoundError
from atoll.resources.faults import problems_of

_log = structlog.get_logger("atoll.gateway")
_REQUEST_ID = re.compile(r"^[-_A-Za-z0-9]{1,64}$")
_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    422: "Invalid",
    503: "ServiceUnavailable",
}


def problem_body(error: AtollError, path: str, request_id: str) -> dict[str, Any]:
    """RFC 9457 problem details."""
    return error.problem() | {"instance": path, "request_id": request_id}


def kubernetes_status(error: AtollError) -> Response:
    """The error as a Kubernetes Status: kubectl prints the message of nothing else."""
    body = {
        "apiVersion": "v1",
        "kind": "Status",
        "metadata": {},
        "status": "Failure",
        "message": error.detail,
        "reason": _REASONS.get(error.status, "InternalError"),
        "code": error.status,
    }
    return JSONResponse(body, error.status, headers=_hints(error))


def problem(error: AtollError, path: str, request_id: str) -> Response:
    """The error as an answer."""
    return JSONResponse(
        problem_body(error, path, request_id),
        error.status,
        headers=_hints(error) | {"x-request-id": request_id},
        media_type="application/problem+json",
    )


def answer(scope: Scope, error: AtollError) -> Response:
    """The error as an answer, for layers around the application."""
    return problem(error, scope["path"], request_id(HTTPConnection(scope)))


def request_id(connection: HTTPConnection) -> str:
    """The id that the API gave the request, or a new one; the same for the whole request."""
    known = connection.scope.get("atoll.request_id")
    if isinstance(known, str):
        return known
    given = connection.headers.get("x-request-id", "")
    made = given if _REQUEST_ID.match(given) else uuid.uuid4().hex
    connection.scope["atoll.request_id"] = made
    return made


def install(app: FastAPI) -> None:
    """Answer every error as problem details."""
    app.add_exception_handler(AtollError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _theirs)
    app.add_exception_handler(Exception, _unknown)


async def _ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, AtollError):
        raise error
    return problem(error, request.url.path, request_id(request))


async def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        return await _ours(request, _http_error(400, "The body is not JSON."))
    # A place in the body needs no name; other places are named, so that pointers are not mixed up.
    named = [{**e, "loc": e["loc"][1 if e["loc"][0] == "body" else 0 :]} for e in found]
    return await _ours(request, invalid(problems_of(named)))


async def _theirs(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return await _ours(request, NotFoundError("There is nothing at this address."))
    return await _ours(request, _http_error(error.status_code, str(error.detail)))


async def _unknown(request: Request, error: Exception) -> Response:
    _log.error("request.crashed", exc_info=error)
    return await _ours(
        request,
        AtollError(
            "Something went wrong on our side. Tell an admin the request_id; the log has the rest.",
            code="internal",
        ),
    )


def _http_error(status: int, detail: str) -> AtollError:
    error = AtollError(detail, code="bad_request", who="you")
    error.status, error.title = status, "The request is not possible"
    return error


def _hints(error: AtollError) -> dict[str, str]:
    if error.status == 401:
        return {"www-authenticate": 'Bearer realm="atoll"'}
    return {"retry-after": "2"} if error.status == 503 else {}
