"""Event streams (SSE): the present state first, then every change, resumable by id."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from atoll.api.parameters import Cases
from atoll.api.problems import COMMON, documented
from atoll.application.events import Audience, Subscription
from atoll.auth import Caller, require
from atoll.telemetry.metrics import STREAMS

STREAM_SECONDS = 600.0
"""A stream lives at most this long; the browser and our client come back with the last id."""
_RETRY_MILLISECONDS = 1000

router = APIRouter(tags=["events"], responses=COMMON)
Reader = Annotated[Caller, Depends(require("virtual-clusters:read"))]
_TYPE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A stream of `VirtualClusterEvent`", "content": {"text/event-stream": {}}}
}


def _after(
    last_event_id: Annotated[str | None, Header(description="Resume after this id")] = None,
    after: Annotated[str | None, Query(max_length=40, description="As Last-Event-ID")] = None,
) -> int | None:
    text = last_event_id or after or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


After = Annotated[int | None, Depends(_after)]


async def _all(
    caller: Reader,
    cases: Cases,
    after: After,
    team: Annotated[
        str | None, Query(max_length=253, description="Only those of this team")
    ] = None,
) -> AsyncIterator[Subscription]:
    async with cases.feed.subscribe(Audience(caller, team=team), after) as subscription:
        yield subscription


async def _one(
    caller: Reader, cases: Cases, virtual_cluster: str, after: After
) -> AsyncIterator[Subscription]:
    await cases.virtual_clusters.get(caller, virtual_cluster)
    async with cases.feed.subscribe(Audience(caller, name=virtual_cluster), after) as subscription:
        yield subscription


async def _told(subscription: Subscription) -> AsyncIterator[ServerSentEvent]:
    yield ServerSentEvent(comment="atoll events", retry=_RETRY_MILLISECONDS)
    end = asyncio.get_running_loop().time() + STREAM_SECONDS
    with STREAMS.track_inprogress():
        while (event := await subscription.next(end)) is not None:
            yield ServerSentEvent(raw_data=event.data, event=event.type, id=str(event.id))


@router.get("/events", response_class=EventSourceResponse, responses=_TYPE)
async def stream_events(
    subscription: Annotated[Subscription, Depends(_all)],
) -> AsyncIterator[ServerSentEvent]:
    """Changes of all virtual clusters the caller may see."""
    async for event in _told(subscription):
        yield event


@router.get(
    "/virtual-clusters/{virtual_cluster}/events",
    response_class=EventSourceResponse,
    responses={**documented(404, 409), **_TYPE},
)
async def stream_virtual_cluster_events(
    subscription: Annotated[Subscription, Depends(_one)],
) -> AsyncIterator[ServerSentEvent]:
    """Changes of one virtual cluster."""
    async for event in _told(subscription):
        yield event
