"""The shape of a step."""

from typing import Any, ClassVar

from atoll_worker.reconcile.outcome import Change, Done, Outcome, Wait
from atoll_worker.reconcile.scope import Scope


class Step:
    """One idempotent piece of reconciling; owns one condition.

    `observe` reads the world. `plan` is pure: what was read -> changes, none when converged (this is
    also the preview). `judge` is pure: what was read -> outcome with a reason and a message.
    For deletion `remove_plan` and `removed` mirror them: `removed` says Done only when it has seen
    that nothing is left.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    condition: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    after: ClassVar[tuple[str, ...]] = ()
    """Conditions of steps that have their turn in the pass before this one, whatever comes of it: what
    they make (a kind, say) can then be used in the same pass."""
    again: ClassVar[bool] = False
    """Looked at again in a pass while it waits and others are at work (`Pass`). For steps whose looks are
    cheap and whose changes nobody's `after` relies on."""
    unserved: ClassVar[Wait] = Wait("NotThereYet", "A kind is defined and not served yet")
    """The outcome when the API server will serve a kind that the step writes only in a moment."""

    def applies(self, scope: Scope) -> bool:
        """Whether virtual clusters of this mode have the step at all; needs on it are met if not."""
        return True

    async def observe(self, scope: Scope) -> Any:
        """Read what this step is about."""
        raise NotImplementedError

    def plan(self, scope: Scope, seen: Any) -> list[Change]:
        """The changes that would make it so."""
        raise NotImplementedError

    def judge(self, scope: Scope, seen: Any) -> Outcome:
        """Is it so?"""
        raise NotImplementedError

    def facts(self, scope: Scope, seen: Any) -> dict[str, Any]:
        """What was read that the status tells beside the conditions, by status field."""
        return {}

    async def remains(self, scope: Scope) -> Any:
        """Deletion: read what is left."""
        return None

    def remove_plan(self, scope: Scope, left: Any) -> list[Change]:
        """Deletion: the changes that take it away."""
        return []

    def removed(self, scope: Scope, left: Any) -> Outcome:
        """Deletion: is nothing left?"""
        return Done()
