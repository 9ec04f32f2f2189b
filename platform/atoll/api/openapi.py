"""The OpenAPI document: problems as the only errors, and one way to sign in."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from atoll.contract.base import Problem
from atoll.contract.ray import RayClusterCreate, RayJobCreate

_MODELS = (Problem, RayClusterCreate, RayJobCreate)
_OPEN = ("/v1/health",)


def finish(app: FastAPI) -> None:
    """Replace the document that FastAPI makes by ours."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to change it


def _document(app: FastAPI) -> dict[str, Any]:
    body = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes,
        separate_input_output_schemas=False,
    )  # fmt: skip
    schemas = body.setdefault("components", {}).setdefault("schemas", {})
    for model in _MODELS:
        schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schemas[model.__name__] = schema
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    body["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "A token of the platform"}
    }
    for path, operations in body["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in _OPEN else [{"token": []}]
    return body
