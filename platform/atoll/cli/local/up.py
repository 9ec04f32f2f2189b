"""`atoll up`: from nothing to a finished Ray job."""

import asyncio
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from atoll.cli import contexts, manifests
from atoll.cli.contexts import Context
from atoll.cli.local import demo_cluster, demo_job, host, nodes, processes
from atoll.cli.local.host import DEFAULT_NODES, Host
from atoll.cli.local.place import SIMULATED, Place, State
from atoll.cli.local.steps import Steps
from atoll.cli.session import Session
from atoll.client import Atoll
from atoll.cluster.bootstrap import install
from atoll.cluster.client import Cluster
from atoll.contract.profiles import ProfileCreate
from atoll.errors import ConflictError, UnavailableError
from atoll.hosts.bundle import Bundle
from atoll.hosts.profiles import built_in_profiles
from atoll.resources.profiles import ProfileSpec
from atoll.settings import Settings

_SERVED_SECONDS = 30.0


@dataclass(frozen=True)
class Wish:
    """What was asked of `atoll up`."""

    host: str | None
    kubeconfig: Path | None
    nodes: dict[str, int]
    demo: bool
    label_nodes: bool
    timeout: float


@dataclass(frozen=True)
class Answer:
    """What `atoll up -o json` gives."""

    api: str
    token: str
    kubeconfig: str
    portal: str
    logs: str
    host: str

    def dump(self) -> dict[str, str]:
        """As a mapping, for JSON and YAML."""
        return asdict(self)


class Up:
    """One run: start or repair the platform; the demonstration too unless it is not wanted."""

    def __init__(self, session: Session, place: Place, wish: Wish) -> None:
        self._session = session
        self._place = place
        self._wish = wish
        self._steps = Steps(session.say)

    def run(self) -> Answer:
        """Do all of it. Raises AtollError or the errors of `atoll.hosts`."""
        place, session = self._place, self._session
        kind, why = host.choose(self._wish.host, self._wish.kubeconfig, place)
        session.say(f"atoll up: {place.name}, host {kind} ({why}), state in {place.root}")
        if kind == "sandbox":
            session.say(SIMULATED)
        state = self._remember(kind)
        ready = host.start(kind, place, state.nodes, self._wish.kubeconfig, self._steps)
        _link_logs(place, ready)
        if not state.installed:
            state.installed = True
            place.keep(state)  # before the first write: `down` must know of it whatever happens
        with self._steps.step("Custom resources and host policies"):
            asyncio.run(_install(ready))
        running = processes.start(place, ready, self._steps)
        _login(place, running.api)
        with Atoll(running.api, place.token()) as client:
            with self._steps.step("Profiles") as note:
                _wait_served(client)
                note(", ".join(ensure_profiles(client, ready)))
            if self._wish.demo:
                self._label_nodes(ready, state)
                self._demo(client, ready)
        session.say(f"All of it took {self._steps.total:.1f} s.")
        return Answer(
            running.api, place.token(), str(ready.kubeconfig), f"{running.api}/",
            str(place.platform.logs), kind,
        )  # fmt: skip

    def _remember(self, kind: str) -> State:
        self._place.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        before = self._place.state
        state = before or State(kind, installed=False)
        state.nodes = self._wish.nodes or state.nodes or DEFAULT_NODES
        if kind == "kubeconfig":
            state.kubeconfig = str(host.kubeconfig_file(self._wish.kubeconfig, before))
        self._place.keep(state)
        return state

    def _demo(self, client: Atoll, ready: Host) -> None:
        inner = Session(connected=client)
        timeout = self._wish.timeout
        demo_cluster.ensure_virtual_cluster(inner, ready, self._steps, timeout)
        demo_cluster.ensure_ray_cluster(inner, self._steps, timeout)
        demo_job.run(inner, self._steps, timeout)

    def _label_nodes(self, ready: Host, state: State) -> None:
        """A dedicated virtual cluster takes nodes by template; where none has one, ask."""
        there = asyncio.run(nodes.read(ready.kubeconfig))
        bare = [node for node in there if node.template is None]
        if not bare or len(bare) < len(there):
            return
        if not self._wish.label_nodes:
            label, names = Settings().node_label, ", ".join(node.name for node in bare)
            self._session.confirm(
                f"No node says its template. Label {names} with {label}=<template> "
                "(--label-nodes does without asking)?",
                yes=False,
            )
        with self._steps.step("Node templates") as note:
            state.labelled = asyncio.run(nodes.label(ready.kubeconfig, bare))
            self._place.keep(state)
            note(", ".join(sorted({nodes.template_of(node) for node in bare})))


def ensure_profiles(client: Atoll, ready: Host) -> list[str]:
    """Make the profiles that are not there: the bundle's; without one, and without any profile, the
    tested ones, whose charts come from their repositories. The names of all.
    """
    if ready.charts is not None:
        wanted = Bundle.read(ready.charts).profiles()
    else:
        there = [profile.name for profile in client.profiles.all()]
        if there:
            return there
        wanted = built_in_profiles()
    names = []
    for manifest in wanted:
        name = manifest["metadata"]["name"]
        spec = manifests.checked(ProfileSpec, manifest["spec"], "/spec")
        # One that is there stays: an admin may have changed it since.
        with suppress(ConflictError):
            client.profiles.create(ProfileCreate(name=name, spec=spec))
        names.append(name)
    return names


def _wait_served(client: Atoll) -> None:
    """Wait until the host serves our resources: for a moment after their making it does not."""
    deadline = time.monotonic() + _SERVED_SECONDS
    while True:
        try:
            for noun in (client.profiles, client.teams, client.virtual_clusters):
                list(noun.all())
            return
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


async def _install(ready: Host) -> None:
    settings = Settings(kubeconfig=ready.kubeconfig)
    async with Cluster.from_file(ready.kubeconfig) as cluster:
        await install(cluster, settings)


def _login(place: Place, api: str) -> None:
    with contexts.changing() as known:
        known.contexts[context_name(place)] = Context(api, place.token())
        known.current = context_name(place)


def context_name(place: Place) -> str:
    """The context of a platform of this machine."""
    return f"local-{place.name}"


def _link_logs(place: Place, ready: Host) -> None:
    """The host's logs, beside those of the platform."""
    link = place.platform.logs / "host"
    place.platform.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    if ready.logs and not link.is_symlink():
        link.symlink_to(ready.logs)
