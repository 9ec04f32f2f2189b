"""What every page needs: who visits, the use cases, and errors as pages instead of JSON."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.datastructures import FormData

from atoll.application.use_cases import UseCases
from atoll.auth import COOKIE, Caller, Permission, caller_or_none, require
from atoll.errors import AtollError, UnauthenticatedError
from atoll.portal.problems import problem_view
from atoll.portal.ray import RayReader
from atoll.portal.rendering import render
from atoll.settings import Settings

FORM_FIELDS = 200
"""Most inputs that a form of ours may send."""


@dataclass(frozen=True)
class Visit:
    """One request of a known caller."""

    request: Request
    caller: Caller

    @property
    def use_cases(self) -> UseCases:
        """The use cases of this process."""
        found: UseCases = self.request.app.state.use_cases
        return found

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        found: Settings = self.request.app.state.settings
        return found

    def page(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page for this caller."""
        return render(self.request, template, status, caller=self.caller, **values)

    def ray(self, virtual_cluster: str) -> RayReader:
        """The way to Ray in a virtual cluster, with the caller's own credential."""
        headers = {}
        if authorization := self.request.headers.get("authorization"):
            headers["Authorization"] = authorization
        elif session := self.request.cookies.get(COOKIE):
            headers["Cookie"] = f"{COOKIE}={session}"
        return RayReader(self.request.app.state.gateway, headers, virtual_cluster)


def visiting(permission: Permission) -> Any:
    """A dependency that gives the Visit of a caller with this permission."""
    door = require(permission)

    def made(request: Request, caller: Annotated[Caller, Depends(door)]) -> Visit:
        return Visit(request, caller)

    return Depends(made)


TeamsVisit = Annotated[Visit, visiting("teams:read")]
ReadVisit = Annotated[Visit, visiting("virtual-clusters:read")]
WriteVisit = Annotated[Visit, visiting("virtual-clusters:write")]
ConnectVisit = Annotated[Visit, visiting("virtual-clusters:connect")]
RayVisit = Annotated[Visit, visiting("ray:read")]


class PortalRoute(APIRoute):
    """A route whose errors are pages; a caller who is not known is sent to sign in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with our errors turned into pages."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except UnauthenticatedError:
                back = request.url.path if request.method == "GET" else "/"
                return RedirectResponse(f"/login?next={quote(back)}", 303)
            except AtollError as error:
                return problem_page(request, error)

        return handler


def problem_page(request: Request, error: AtollError) -> Response:
    """The page that says what failed, why, and what to do next."""
    parent = request.url.path.rstrip("/").rpartition("/")[0]
    known = parent if parent in ("/teams", "/virtual-clusters") else ""
    back = known or "/teams"
    return render(
        request,
        "problem.html",
        error.status,
        caller=_quiet_caller(request),
        problem=problem_view(error),
        request_id=getattr(request.state, "request_id", ""),
        back=back,
        back_word="All virtual clusters" if back == "/virtual-clusters" else "All teams",
        here=request.url.path,
    )


def _quiet_caller(request: Request) -> Caller | None:
    try:
        return caller_or_none(request)
    except AtollError:
        return None


async def typed(request: Request) -> dict[str, str]:
    """The texts of a form; files are left out."""
    data: FormData = await request.form(max_files=0, max_fields=FORM_FIELDS)
    return {name: value for name, value in data.items() if isinstance(value, str)}


def go(path: str) -> Response:
    """On to another page after a change, so that a reload repeats nothing."""
    return RedirectResponse(path, 303)
