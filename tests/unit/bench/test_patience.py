"""A request is repeated until it is answered, and an answer that was lost is no second object."""

from collections.abc import Awaitable, Callable

import pytest
from bench.gangs import patience
from bench.gangs.patience import surely

from atoll.errors import ConflictError, ForbiddenError, UnavailableError


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PAUSE_SECONDS", 0.0)


def answers(*told: Exception | str) -> Callable[[], Awaitable[str]]:
    """What the server answers, one after the other."""
    left = list(told)

    async def ask() -> str:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


SLOW, THERE = UnavailableError("no answer"), ConflictError("it is there", code="exists")


async def test_it_asks_again_until_it_is_answered() -> None:
    assert await surely(answers(SLOW, SLOW, "made")) == "made"


async def test_what_is_there_after_a_lost_answer_is_ours() -> None:
    assert await surely(answers(SLOW, THERE)) is None


async def test_what_was_there_before_is_somebody_elses() -> None:
    with pytest.raises(ConflictError):
        await surely(answers(THERE))


async def test_a_refusal_is_an_answer() -> None:
    with pytest.raises(ForbiddenError):
        await surely(answers(SLOW, ForbiddenError("no")))


async def test_its_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_PATIENCE_SECONDS", -1.0)
    with pytest.raises(UnavailableError):
        await surely(answers(SLOW, "too late"))
