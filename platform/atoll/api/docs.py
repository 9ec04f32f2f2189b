"""The API's own pages: its routes and its problem codes, readable without any outside server."""

import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader

from atoll import errors

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


def problem_codes() -> list[type[errors.AtollError]]:
    """Every error of the tree, by code."""
    found: list[type[errors.AtollError]] = []
    waiting = [errors.AtollError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return sorted({k.code: k for k in found}.values(), key=lambda k: k.code)


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
    kinds = [
        {
            "code": k.code,
            "status": k.status,
            "title": k.title,
            "who": k.who,
            "text": re.sub(r"\s+", " ", k.__doc__ or ""),
        }
        for k in problem_codes()
    ]
    return HTMLResponse(_PAGES.get_template("problems.html").render(kinds=kinds), headers=_POLICY)
