"""Short-lived tokens for a virtual cluster's Kubernetes API, by the caller's role."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from atoll.contract.virtual_clusters import Credential
from atoll.domain.names import SYSTEM_NAMESPACE
from atoll.gateway.callers import Connecting
from atoll.gateway.parts import parts_of

LEAST_SECONDS, MOST_SECONDS = 900, 3600
router = APIRouter(tags=["virtual-clusters"])

Seconds = Annotated[
    int, Query(ge=LEAST_SECONDS, le=MOST_SECONDS, description="How long the token is good")
]


@router.post("/v1/virtual-clusters/{vc}/credentials", status_code=201)
async def create_credential(
    asked: Connecting, request: Request, expires: Seconds = 3600
) -> Credential:
    """A token of the ServiceAccount that fits the caller's role. It is stored nowhere."""
    path = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/serviceaccounts/{asked.account}/token"
    made = await parts_of(request).tenants.call(
        asked.name,
        "POST",
        path,
        body={
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": expires},
        },
        what=f"Token of {asked.account}",
    )
    return Credential(
        token=made["status"]["token"], expires_at=made["status"]["expirationTimestamp"]
    )
