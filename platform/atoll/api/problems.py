"""Every error as problem details (RFC 9457), and nothing about our insides in any of them."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from atoll.application.validation import invalid
from atoll.errors import AtollError, NotFoundError, UnauthenticatedError, UnavailableError
from atoll.resources.faults import problems_of
from atoll.resources.meta import Model

MEDIA_TYPE = "application/problem+json"
_RETRY_SECONDS = "2"
_WHERE = {"body": "", "query": "/query", "path": "/path", "header": "/header", "cookie": "/cookie"}

log = structlog.get_logger(__name__)


class MethodError(AtollError):
    """The route exists and does not know the method."""

    code, status, title, who = "method_not_allowed", 405, "Method not allowed", "you"


class RequestError(AtollError):
    """A request that HTTP itself does not allow: too large, of the wrong type, unreadable."""

    code, status, title, who = "bad_request", 400, "The request cannot be read", "you"

    def __init__(self, detail: str, status: int) -> None:
        super().__init__(detail)
        self.status = status


def answer(request: HTTPConnection, error: AtollError) -> JSONResponse:
    """The error as an HTTP answer."""
    body = error.problem() | {
        "instance": request.url.path,
        "request_id": getattr(request.state, "request_id", None),
    }
    headers = {}
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = 'Bearer realm="atoll"'
    if isinstance(error, UnavailableError):
        headers["Retry-After"] = _RETRY_SECONDS
    return JSONResponse(body, error.status, headers, media_type=MEDIA_TYPE)


async def _atoll(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AtollError)
    if error.status >= 500:
        log.warning("request.failed", code=error.code, error=error.detail)
    return answer(request, error)


async def _validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found: list[dict[str, Any]] = []
    for one in error.errors():
        where, *rest = one["loc"]
        if one["type"] == "json_invalid":
            return answer(request, RequestError("The body is not JSON", 400))
        prefix = [p for p in _WHERE.get(str(where), "").split("/") if p]
        found.append({**one, "loc": (*prefix, *rest)})
    return answer(request, invalid(problems_of(found)))


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return answer(request, NotFoundError(f"There is nothing at {request.url.path[:200]}"))
    if error.status_code == 405:
        response = answer(request, MethodError(f"{request.method} is not possible here"))
        response.headers.update(error.headers or {})
        return response
    return answer(request, RequestError(str(error.detail), error.status_code))


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    log.error("request.crashed", path=request.url.path, exc_info=error)
    return answer(
        request,
        AtollError(
            "Something went wrong on our side. Tell an admin the request_id; the log has the rest.",
            code="internal",
        ),
    )


def install(app: FastAPI) -> None:
    """Answer every error of this application as a problem."""
    app.add_exception_handler(AtollError, _atoll)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unknown)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can answer with these problem statuses, for OpenAPI."""
    words = {
        400: "The request cannot be read",
        401: "Sign in first",
        403: "Not allowed",
        404: "Not found",
        409: "Conflict with what there is",
        412: "It has changed since you read it",
        413: "The body is too large",
        415: "The body is of another type",
        422: "The request is not valid; `errors` names the fields",
        428: "If-Match is missing",
        503: "A part we need does not answer",
    }
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {s: {"description": words[s], "content": {MEDIA_TYPE: schema}} for s in statuses}


def dry_run_answer(model: type[Model]) -> dict[int | str, dict[str, Any]]:
    """The answer of a route to `?dry_run=server`, for OpenAPI."""
    return {200: {"description": "With dry_run=server: what it would be", "model": model}}


COMMON = documented(401, 403, 422, 503)
