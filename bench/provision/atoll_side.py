"""The contestant Atoll: one POST, then the event stream until Ready."""

import time
from datetime import datetime

from atoll.client import Atoll
from atoll.contract.teams import TeamCreate
from atoll.contract.virtual_clusters import VirtualClusterCreate, VirtualClusterRead
from atoll.errors import ConflictError, NotFoundError
from atoll.resources.teams import QuotaLine, TeamSpec
from atoll.resources.virtual_clusters import VirtualClusterSpec

PATIENCE_SECONDS = 600.0


class AtollSide:
    """Asks a running platform; `up` is timed, `down` is not."""

    def __init__(self, client: Atoll, spec: VirtualClusterSpec, name: str) -> None:
        self._client, self._spec, self._name = client, spec, name
        quota = {key: QuotaLine(limit=amount) for key, amount in spec.quota.items()}
        try:
            client.teams.create(TeamCreate(name=spec.team, spec=TeamSpec(quota=quota)))
        except ConflictError:
            return

    def up(self) -> tuple[float, dict[str, float]]:
        """Seconds from the request to Ready, and when each step was over."""
        began = time.monotonic()
        new = VirtualClusterCreate(name=self._name, spec=self._spec)
        made = self._client.virtual_clusters.create(new)
        deadline = began + PATIENCE_SECONDS
        for event in self._client.events.follow(self._name, deadline=deadline):
            if event and event.object.uid == made.uid and event.object.status.phase == "Ready":
                return time.monotonic() - began, _steps(event.object)
        raise TimeoutError(f"{self._name} was not Ready in {PATIENCE_SECONDS:g} s")

    def down(self) -> None:
        """Everything of it away."""
        self._client.virtual_clusters.delete(self._name)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                self._client.virtual_clusters.get(self._name)
            except NotFoundError:
                return
            time.sleep(0.5)
        raise TimeoutError(f"{self._name} was not gone in {PATIENCE_SECONDS:g} s")


def _steps(found: VirtualClusterRead) -> dict[str, float]:
    asked = datetime.fromisoformat(found.created_at or "")
    return {
        step.name: (datetime.fromisoformat(step.finished_at) - asked).total_seconds()
        for step in found.status.steps
        if step.finished_at
    }
