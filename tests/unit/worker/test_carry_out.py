"""What a tenant's namespace refuses stops only what must not go on without it."""

from types import SimpleNamespace
from typing import Any

import pytest

from atoll.errors import ForbiddenError, InvalidError, UnavailableError
from atoll_worker.reconcile.carry_out import carry_out
from atoll_worker.reconcile.outcome import Put

SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "going"}}


class Inside:
    """An API server that answers every write with one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def apply(self, _: dict[str, Any]) -> None:
        raise self.error


def scope(error: Exception) -> Any:
    async def inside() -> Inside:
        return Inside(error)

    return SimpleNamespace(
        dry=False,
        refusals={},
        fence=1,
        vc=SimpleNamespace(name="lab", status=SimpleNamespace(conditions=[])),
        inside=inside,
        host=None,
        changed=lambda: None,
    )


@pytest.mark.parametrize(
    "error", [ForbiddenError("the namespace is being terminated"), InvalidError("name too long")]
)
async def test_a_refusal_is_passed_over_only_where_it_may_be(error: Exception) -> None:
    tenant = scope(error)
    await carry_out(Put(SECRET, inside=True, refusable=True), tenant)
    assert tenant.refusals == {("Secret", "going", "s"): str(error)}
    with pytest.raises(type(error)):
        await carry_out(Put(SECRET, inside=True), scope(error))


async def test_no_answer_is_no_refusal() -> None:
    with pytest.raises(UnavailableError):
        await carry_out(
            Put(SECRET, inside=True, refusable=True), scope(UnavailableError("no route"))
        )
