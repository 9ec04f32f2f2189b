"""Requests that are repeated until they are answered: a machine may be slow, and no verdict hangs on that."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from atoll.errors import ConflictError, UnavailableError

T = TypeVar("T")
_PAUSE_SECONDS, _PATIENCE_SECONDS = 0.5, 300.0


async def surely(ask: Callable[[], Awaitable[T]]) -> T | None:
    """The answer; None when an earlier try, whose answer was lost, has made the object already.

    `ask` is called anew for each try and must be safe to repeat. After five minutes it raises what it
    was told last.
    """
    deadline, again = time.monotonic() + _PATIENCE_SECONDS, False
    while True:
        try:
            return await ask()
        except ConflictError as error:
            if not again or error.code != "exists":
                raise
            return None
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
        again = True
        await asyncio.sleep(_PAUSE_SECONDS)
