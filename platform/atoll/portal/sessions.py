"""Signing in and out, the choice of colours, and the files of the pages."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from atoll.auth import Caller, caller_or_none, end_session, refuse_other_site, start_session
from atoll.auth.tokens import caller_of
from atoll.errors import NotFoundError
from atoll.portal.rendering import HEADERS, STATIC, THEME_COOKIE, THEMES, render
from atoll.portal.visits import PortalRoute, go, typed
from atoll.settings import Settings

router = APIRouter(include_in_schema=False, route_class=PortalRoute)
_FILES = {
    "portal.css": "text/css",
    "portal.js": "text/javascript",
    "atoll.svg": "image/svg+xml",
}
_WRONG = (
    "That is not a token we know. Check that all of it was pasted, or ask an admin for another."
)
Known = Annotated[Caller | None, Depends(caller_or_none)]


def _safe_next(text: str) -> str:
    """A path of ours to go on to; anything that could lead elsewhere becomes the first page."""
    parts = urlsplit(text)
    ours = text.startswith("/") and not text.startswith(("//", "/\\", "/login", "/logout"))
    return text if ours and not parts.netloc and "\\" not in text else "/"


@router.get("/")
def first() -> Response:
    """The first page is the list of teams."""
    return RedirectResponse("/teams", 303)


@router.get("/login")
def login_page(request: Request, caller: Known, next: str = "/") -> Response:  # noqa: A002 - the query's name
    """The form that asks for the token."""
    if caller:
        return go(_safe_next(next))
    return render(request, "login.html", next=_safe_next(next), wrong="")


@router.post("/login")
async def login(request: Request) -> Response:
    """Check the token, set the cookie. Only our own form may do that."""
    refuse_other_site(request)
    settings: Settings = request.app.state.settings
    values = await typed(request)
    onward = _safe_next(values.get("next", "/"))
    token = values.get("token", "").strip()
    if not token or caller_of(settings, bearer=token, session=None) is None:
        return render(request, "login.html", 401, next=onward, wrong=_WRONG)
    answer = go(onward)
    start_session(answer, token, secure=settings.api_url.startswith("https:"))
    return answer


@router.post("/logout")
def logout(caller: Known) -> Response:
    """Take the cookie away."""
    answer = go("/login")
    end_session(answer)
    return answer


@router.post("/theme")
async def theme(request: Request) -> Response:
    """Remember light, dark, or the system's colours, and go back to the page."""
    chosen = (await typed(request)).get("theme", "")
    answer = go(_safe_next(urlsplit(request.headers.get("referer", "/")).path))
    if chosen in THEMES:
        answer.set_cookie(THEME_COOKIE, chosen, max_age=31_536_000, samesite="lax", httponly=True)
    else:
        answer.delete_cookie(THEME_COOKIE)
    return answer


@router.get("/static/{name}")
def static_file(name: str) -> Response:
    """A file of the pages. Its address changes with its content, so it may be kept."""
    if name not in _FILES:
        raise NotFoundError(f"There is no file {name!r}")
    headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return FileResponse(STATIC / name, media_type=_FILES[name], headers=headers)
