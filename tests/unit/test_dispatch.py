"""Sending a hint may be given up at any moment, and whoever gives it up must be heard."""

import asyncio
import threading
import time

import pytest

from atoll.dispatch import Dispatch
from atoll.settings import Settings


async def test_a_cancellation_that_comes_with_the_answer_is_not_forgotten() -> None:
    """`asyncio.wait_for` did, before Python 3.12, and now and then the follower lived on after SIGTERM."""
    dispatch, answered = Dispatch(Settings()), threading.Event()
    sending = asyncio.create_task(dispatch._within_patience(answered.set))
    await asyncio.sleep(0)
    answered.wait(30)
    time.sleep(
        0.2
    )  # the loop stands still, so the answer and the cancellation meet in its next round
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    dispatch.close()
