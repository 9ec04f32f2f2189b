"""Reading the body of a PATCH: a JSON merge patch, taken apart by the use case."""

import json
from typing import Annotated, Any

from fastapi import Depends, Request

from atoll.api.problems import RequestError

_TYPES = ("application/merge-patch+json", "application/json")


async def _merge_patch(request: Request) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise RequestError(f"Send the patch as {_TYPES[0]}", 415)
    try:
        return json.loads(await request.body(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RequestError("The body is not JSON", 400) from error


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


MergePatch = Annotated[Any, Depends(_merge_patch)]


def documented_patch(spec: str) -> dict[str, Any]:
    """`openapi_extra` of a PATCH route: any part of this spec, null removing a key."""
    schema = {
        "type": "object",
        "required": ["spec"],
        "additionalProperties": False,
        "properties": {
            "spec": {
                "type": "object",
                "description": f"Parts of {spec}; null removes a key (RFC 7396)",
            }
        },
    }
    content = {kind: {"schema": schema} for kind in _TYPES}
    return {"requestBody": {"required": True, "content": content}}
