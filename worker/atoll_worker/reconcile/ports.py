"""What the reconciler needs of the outside world beyond the Kubernetes API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import Kind
from atoll.domain.gcs_store import StoreFigures, StoreUser
from atoll.resources.profiles import Chart


@dataclass(frozen=True)
class Release:
    """The newest revision of a helm release, as its storage Secret tells."""

    name: str
    revision: int
    status: str
    chart_version: str
    values_hash: str
    fence: int = 0

    @property
    def pending(self) -> bool:
        """A helm process is at it, or died at it."""
        return self.status.startswith("pending-") or self.status == "uninstalling"


class Releases(Protocol):
    """Helm, as the steps see it."""

    async def find(self, cluster: Cluster, release: str, namespace: str) -> Release | None:
        """The newest revision, or None. Reads the storage Secret, starts no process."""

    async def install(
        self,
        cluster: Cluster,
        kubeconfig: Path | None,
        release: str,
        namespace: str,
        chart: Chart | Path,
        values: Mapping[str, Any],
        awaits: Sequence[Kind] = (),
    ) -> None:
        """Install or upgrade and return as soon as the objects are sent; never waits for readiness.

        Only for the definitions of the chart and the kinds in `awaits` it waits before, for a while.
        """

    async def uninstall(
        self, cluster: Cluster, kubeconfig: Path | None, release: str, namespace: str
    ) -> None:
        """Remove; nothing to remove counts as done."""

    def values_hash(self, values: Mapping[str, Any]) -> str:
        """What `Release.values_hash` is for these values."""


@dataclass(frozen=True)
class Instance:
    """One Redis process: the pod it runs in, and where it answers from here."""

    name: str
    host: str
    port: int
    sentinel: bool = False


@dataclass(frozen=True)
class KnownUsers:
    """The users of one instance, by name; None for one whose rules are not of our making.

    A Sentinel knows of no keys: its users have no storage namespaces.
    """

    sentinel: bool
    users: dict[str, StoreUser | None]

    def right(self, user: StoreUser) -> bool:
        """Whether the instance knows this user, and as it should be."""
        wanted = replace(user, storage_namespaces=frozenset()) if self.sentinel else user
        return self.users.get(user.name) == wanted


@dataclass(frozen=True)
class Administrator:
    """What one instance takes for the administrator's passwords (SHA-256, hex), and what it says
    itself to the others.
    """

    name: str
    hashes: frozenset[str]
    speaks: str | None
    """Hash of the password it uses towards other instances; None when it cannot be told or has none."""
    silent: bool = False
    """It does not answer, so the rest is not known."""


class GcsStore(Protocol):
    """The Redis that keeps the state of a virtual cluster's Ray heads.

    Every method raises TemporaryError, whose reason tells an unreachable Redis from a refused password.
    """

    async def users(self) -> list[KnownUsers]:
        """The users each instance knows."""

    async def put_users(self, users: Sequence[StoreUser], gone: Sequence[str]) -> None:
        """Make users so, and end others with their connections, on every instance."""

    async def figures(self) -> dict[str, StoreFigures | None]:
        """Pod -> what it says of itself; None for one that does not answer. Never raises for that."""

    async def key_owners(self) -> frozenset[str]:
        """Every storage namespace of this virtual cluster that has keys."""

    async def orphans(self) -> dict[str, float]:
        """Storage namespaces marked as without a RayCluster, and since when (Unix seconds)."""

    async def mark_orphans(self, marked: dict[str, float], found_again: Sequence[str]) -> None:
        """Remember some and forget others."""

    async def drop_keys(self, storage_namespaces: Sequence[str]) -> int:
        """Remove the keys of storage namespaces; how many there were."""


class AdminStore(GcsStore, Protocol):
    """A Redis of our own, whose administrator's password we make."""

    async def administrators(self) -> list[Administrator]:
        """What every instance says; the only one there is raises when it is silent."""

    async def admit(self, passwords: Sequence[str]) -> None:
        """Let exactly these passwords be the administrator's, on every instance that answers."""

    async def speak(self, password: str) -> None:
        """Use this password from each instance to the others, on every instance that answers."""


@dataclass(frozen=True)
class External:
    """A Redis that somebody else runs, as one virtual cluster uses it.

    Others may use it too, other installations as well: whatever we keep there bears `installation` and
    `member`, the virtual cluster's name and UID.
    """

    address: str
    host: str
    port: int
    password: str = field(repr=False)
    username: str | None
    authority: str | None
    """Whom to believe under TLS (PEM); None: no TLS."""
    secret: str
    """Where the password stands, as `namespace/name`."""
    each: bool
    """Whether every Ray workload gets a user of its own."""
    installation: str
    member: str

    @property
    def user_prefix(self) -> str:
        """How the names of this virtual cluster's users begin."""
        return f"{self.member}/"


class ExternalStore(GcsStore, Protocol):
    """An external Redis. Its methods speak of one virtual cluster's users and keys alone."""

    async def check(self) -> None:
        """Raises TemporaryError or PermanentError, in words, when it cannot keep the state of Ray heads."""

    async def members(self) -> frozenset[str]:
        """The virtual clusters of this installation that have something there."""

    async def forget(self, member: str) -> None:
        """Remove the users and keys of one of them."""


class Stores(Protocol):
    """Opens stores; connects to nothing yet."""

    def own(self, instances: Sequence[Instance], password: str) -> AdminStore:
        """The Redis of a virtual cluster, by all its instances and the administrator's password."""

    def external(self, external: External) -> ExternalStore:
        """Somebody else's."""
