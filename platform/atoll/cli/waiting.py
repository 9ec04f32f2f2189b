"""Waits for an operation along the event stream."""

import time

from atoll.cli.exits import Exit, WaitTimeoutError
from atoll.cli.progress import StepLines
from atoll.cli.session import Session
from atoll.client.problems import error_of
from atoll.contract.operations import OperationRead
from atoll.contract.virtual_clusters import VirtualClusterRead
from atoll.errors import AtollError, NotFoundError, UnavailableError

_LOOK_SECONDS = 3.0
"""How often the operation is asked about when no event comes."""


class Waiter:
    """Follows one operation of one virtual cluster until it is over.

    Ctrl-C ends only the waiting: the command to go on is printed and the exit code is 130.
    """

    def __init__(self, session: Session, timeout: float) -> None:
        self._session = session
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._asked = 0.0

    def ready(self, accepted: VirtualClusterRead) -> VirtualClusterRead:
        """Wait until the change is done. Raises its error, or WaitTimeoutError."""
        self._follow(accepted.name, accepted.operation.id, accepted, deleting=False)
        return self._session.client.virtual_clusters.get(accepted.name)

    def gone(self, accepted: VirtualClusterRead) -> None:
        """Wait until the virtual cluster and all of it is gone."""
        self._follow(accepted.name, accepted.operation.id, accepted, deleting=True)

    def operation(self, found: OperationRead) -> None:
        """Wait for any operation, from the outside."""
        self._follow(found.target, found.id, None, deleting=found.action == "delete")

    def _follow(
        self, name: str, identity: str, before: VirtualClusterRead | None, *, deleting: bool
    ) -> None:
        try:
            self._events(name, identity, before, deleting)
        except KeyboardInterrupt:
            self._session.say(f"\nDetached; the work goes on: atoll operation wait {identity}")
            raise SystemExit(Exit.INTERRUPTED) from None

    def _events(
        self, name: str, identity: str, before: VirtualClusterRead | None, deleting: bool
    ) -> None:
        told = before.status.steps if before else ()
        lines = StepLines(self._session.say, told, deleting=deleting)
        latest = before
        try:
            for event in self._session.client.events.follow(name, deadline=self._deadline):
                if event is not None:
                    # The end of an earlier one of that name is none of this operation's.
                    mine = event.object.uid == identity.rpartition(".")[0]
                    if mine and event.type == "virtual-cluster.deleted":
                        raise NotFoundError(f"Virtual cluster {name} was deleted.")
                    latest = event.object
                    lines.show(latest.status)
                elif latest is not None:
                    lines.still(latest.status)
                if self._over(identity, fresh=event is not None):
                    return
        except NotFoundError:
            if deleting:
                return
            raise
        raise self._too_late(name, identity, latest)

    def _over(self, identity: str, *, fresh: bool) -> bool:
        """Whether the operation succeeded; raises when it failed."""
        if not fresh and time.monotonic() - self._asked < _LOOK_SECONDS:
            return False
        self._asked = time.monotonic()
        try:
            operation = self._session.client.operation(identity)
        except UnavailableError:
            return False  # the API starts anew; the event stream says when it is back
        if operation.state == "failed":
            raise failure(operation)
        return operation.state == "succeeded"

    def _too_late(
        self, name: str, identity: str, latest: VirtualClusterRead | None
    ) -> WaitTimeoutError:
        waiting = [s for s in latest.status.steps if s.state != "done"] if latest else []
        where = f" It is at: {waiting[0].title} ({waiting[0].message})" if waiting else ""
        return WaitTimeoutError(
            f"{name} was not finished within {self._timeout:g} s; the work goes on.{where}",
            extra={"next": f"atoll operation wait {identity}"},
        )


def failure(operation: OperationRead) -> AtollError:
    """The error of a failed operation."""
    if operation.error is not None:
        problem = operation.error
        return error_of(problem.status, problem.model_dump_json().encode(), "the operation")
    failed = next((step for step in operation.steps if step.state == "failed"), None)
    text = operation.message or (failed.message if failed else "") or "The operation failed."
    return AtollError(
        text, code="operation_failed", extra={"next": f"atoll vc get {operation.target} -o yaml"}
    )
