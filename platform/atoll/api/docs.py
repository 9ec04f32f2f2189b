"""The API's own pages: its routes and its problem codes, readable without any outside server."""

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader

from atoll.api.problem_codes import PROBLEM_CODES

router = APIRouter(include_in_schema=False)
_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True
)
_POLICY = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


def _operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"method": method.upper(), "path": path, **operation}
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


@router.get("/docs", response_class=HTMLResponse)
async def get_docs(request: Request) -> HTMLResponse:
    """All routes with their words."""
    document = request.app.openapi()
    page = _PAGES.get_template("docs.html").render(
        document=document, operations=_operations(document)
    )
    return HTMLResponse(page, headers=_POLICY)


@router.get("/docs/problems", response_class=HTMLResponse)
async def get_problems() -> HTMLResponse:
    """All problem codes."""
    page = _PAGES.get_template("problems.html").render(codes=PROBLEM_CODES)
    return HTMLResponse(page, headers=_POLICY)
