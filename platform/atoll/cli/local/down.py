"""`atoll down`: nothing of a platform is left."""

import asyncio
import shutil
import time
from pathlib import Path

from atoll.cli import contexts
from atoll.cli.local import host_scheduler, nodes
from atoll.cli.local.place import Place, State
from atoll.cli.local.steps import Steps
from atoll.cli.local.up import context_name
from atoll.cli.session import Session
from atoll.cli.waiting import Waiter
from atoll.client import Atoll
from atoll.cluster.bootstrap import uninstall
from atoll.cluster.client import Cluster
from atoll.cluster.kinds import VIRTUAL_CLUSTER
from atoll.errors import AtollError, NotFoundError
from atoll.hosts.kind import Kind
from atoll.hosts.sandbox import Sandbox
from atoll.settings import Settings

_DELETING = frozenset({"redis", "api", "worker"})
"""Without one of these processes no virtual cluster would ever go."""


def run(session: Session, place: Place, timeout: float) -> None:
    """Remove virtual clusters (where the host stays), processes, host and state."""
    steps, state = Steps(session.say), place.state
    if state is None and not place.root.exists():
        session.say(f"There is no platform {place.name}.")
        return
    on_host = state is not None and state.host == "kubeconfig" and state.installed
    if on_host and state is not None:
        _empty_host(place, state, steps, timeout)
    with steps.step("Processes") as note:
        note(", ".join(place.platform.stop()) or "none ran")
    with steps.step("Host"):
        Sandbox(place.name, place.sandbox).down()
        if state is not None and state.host == "kind":
            Kind(place.name, place.kind, session.say).down()
    if on_host and state is not None and state.kubeconfig:
        with steps.step("Gang scheduler that Atoll put on the host") as note:
            note(asyncio.run(host_scheduler.remove(Path(state.kubeconfig))) or "none")
        with steps.step("Custom resources, policies and labels"):
            asyncio.run(_clean_host(Path(state.kubeconfig), state.labelled))
    with contexts.changing() as known:
        known.contexts.pop(context_name(place), None)
        if known.current == context_name(place):
            known.current = next(iter(known.contexts), None)
    left = [s.name for s in place.platform.states() if s.alive]
    if left:
        raise AtollError(f"These processes did not end: {', '.join(left)}.")
    shutil.rmtree(place.root)
    session.say(f"Platform {place.name} is gone ({steps.total:.1f} s).")


def _empty_host(place: Place, state: State, steps: Steps, timeout: float) -> None:
    """Delete every virtual cluster and prove that it is gone; needs the platform running, unless there
    is none: after an `up` that failed on its way nothing is there to be deleted.
    """
    address = place.platform.port("api")
    missing = _DELETING - {s.name for s in place.platform.states() if s.alive}
    if address is None or missing:
        left = asyncio.run(_virtual_clusters(Path(state.kubeconfig or "")))
        if left:
            raise AtollError(
                f"Of the platform {', '.join(sorted(missing or {'api'}))} does not run, and its virtual "
                f"clusters on {state.kubeconfig} must be deleted by it: {', '.join(left)}.",
                extra={"next": f"atoll up --no-demo --name {place.name}, then atoll down again"},
            )
        return
    deadline = time.monotonic() + timeout
    with Atoll(address["url"], place.token()) as client:
        inner = Session(connected=client)
        going = [
            found if found.deleting_since else client.virtual_clusters.delete(found.name) or found
            for found in client.virtual_clusters.all()
        ]
        for found in going:
            with steps.step(f"Virtual cluster {found.name}"):
                Waiter(inner, max(deadline - time.monotonic(), 1)).gone(found)
        for team in client.teams.all():
            client.teams.delete(team.name)
        for profile in client.profiles.all():
            client.profiles.delete(profile.name)


async def _virtual_clusters(kubeconfig: Path) -> list[str]:
    """Names of the virtual clusters that the host has; none where it does not know the kind."""
    async with Cluster.from_file(kubeconfig) as cluster:
        try:
            found = await cluster.items(VIRTUAL_CLUSTER)
        except NotFoundError:
            return []
    return sorted(item["metadata"]["name"] for item in found)


async def _clean_host(kubeconfig: Path, labelled: list[str]) -> None:
    await nodes.unlabel(kubeconfig, labelled)
    async with Cluster.from_file(kubeconfig) as cluster:
        await uninstall(cluster, Settings(kubeconfig=kubeconfig))
