"""Routes of operations."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from atoll.api.parameters import Cases
from atoll.api.problems import COMMON, documented
from atoll.auth import Caller, require
from atoll.contract.operations import OperationRead

router = APIRouter(prefix="/operations", tags=["operations"], responses=COMMON)
Reader = Annotated[Caller, Depends(require("virtual-clusters:read"))]


@router.get("/{operation}", response_model_exclude_none=True, responses=documented(404, 409))
async def get_operation(
    caller: Reader, cases: Cases, operation: str, response: Response
) -> OperationRead:
    """How far a change has come: real steps, and the problem when it cannot go on."""
    found = await cases.operations.get(caller, operation)
    if found.state == "running":
        response.headers["Retry-After"] = "2"
    return found
