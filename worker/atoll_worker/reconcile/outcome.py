"""What came of a step: done, wait, or failed. Steps never raise for what they expect."""

from dataclasses import dataclass, field
from typing import Any

from atoll.cluster.kinds import Kind
from atoll.domain.gcs_store import StoreUser
from atoll.errors import Who

AT_WORK = "AtWork"
"""Reason of what is told of a step whose look is not over."""


@dataclass(frozen=True)
class Done:
    """What the step is for is so. `message` says it in words."""

    message: str = ""
    reason: str = "Done"


@dataclass(frozen=True)
class Wait:
    """Not yet so, and nothing is wrong. `reason` is one PascalCase word."""

    reason: str
    message: str


@dataclass(frozen=True)
class Failed:
    """Not so because of an error. A permanent one needs `who` to act; others are tried again after `delay`
    seconds, and after longer ones when it goes on. `recheck`: after so many each time instead.
    """

    reason: str
    message: str
    permanent: bool = False
    who: Who = "nobody"
    delay: float = 2.0
    recheck: float | None = None


Outcome = Done | Wait | Failed


@dataclass(frozen=True)
class Put:
    """Server-side apply of one object, on the host or (`inside`) in the virtual cluster."""

    manifest: dict[str, Any]
    inside: bool = False
    refusable: bool = False
    """It goes into a tenant's namespace, which may refuse it (it is terminating, full, or has admission
    of its own). What comes after it is done all the same.
    """


@dataclass(frozen=True)
class Patch:
    """Merge patch of one object; metadata.resourceVersion in it makes it compare-and-set."""

    kind: Any
    name: str
    change: dict[str, Any]
    namespace: str | None = None
    inside: bool = False


@dataclass(frozen=True)
class Remove:
    """Deletion of one object."""

    kind: Any
    name: str
    namespace: str | None = None
    inside: bool = False


@dataclass(frozen=True)
class Evict:
    """Ask a pod of the host to leave its node, as far as its PodDisruptionBudgets let it."""

    pod: str
    namespace: str


@dataclass(frozen=True)
class Expel:
    """Delete a pod of the host as it was read at `revision`, whatever its PodDisruptionBudgets say, with its
    own time to end. One that has changed or gone since is left to the next look.
    """

    pod: str
    namespace: str
    revision: str


@dataclass(frozen=True)
class Install:
    """Install or upgrade a release so that it has exactly this chart and these values.

    `awaits`: kinds of other releases that its programs look for once, when they start.
    """

    release: str
    namespace: str
    chart: Any
    values: dict[str, Any]
    inside: bool = False
    awaits: tuple[Kind, ...] = ()


@dataclass(frozen=True)
class InstallForAll:
    """Install a release that all virtual clusters of the host share, in a namespace marked as ours.

    `lease` names the Lease that keeps two workers from doing it at once.
    """

    install: Install
    lease: str


@dataclass(frozen=True)
class Uninstall:
    """Remove a release."""

    release: str
    namespace: str
    inside: bool = False


@dataclass(frozen=True)
class Reserve:
    """Take from the team's quota what the virtual cluster asks for, or (None) give it back."""

    team: str
    virtual_cluster: str
    quota: dict[str, str] | None


@dataclass(frozen=True)
class Mint:
    """A fresh short-lived token of a ServiceAccount inside, kept on the host for the gateway or the
    gang mirror: as Secret `secret` in namespace `place`, with the step label `step`.
    """

    service_account: str
    namespace: str
    place: str
    secret: str
    seconds: int
    step: str


@dataclass(frozen=True)
class PutStoreUsers:
    """Users of the virtual cluster's Redis: those that must be so, and the names that must go."""

    users: tuple[StoreUser, ...]
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class MarkOrphans:
    """Remember in Redis since when keys have had no RayCluster (Unix seconds), or forget it."""

    marked: dict[str, float]
    found_again: tuple[str, ...] = ()


@dataclass(frozen=True)
class DropKeys:
    """Remove the keys of storage namespaces that nobody owns any more."""

    storage_namespaces: tuple[str, ...]


@dataclass(frozen=True)
class ForgetStore:
    """Remove users and keys of a virtual cluster from an external Redis (see `ports.External.member`)."""

    member: str


@dataclass(frozen=True)
class AdmitPasswords:
    """Let exactly these be the passwords of the administrator of the virtual cluster's own Redis."""

    passwords: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class SpeakPassword:
    """Let its Redis processes use this password towards one another."""

    password: str = field(repr=False)


Change = (
    Put | Patch | Remove | Evict | Expel | Install | InstallForAll | Uninstall | Reserve | Mint
    | PutStoreUsers | MarkOrphans | DropKeys | ForgetStore | AdmitPasswords | SpeakPassword
)  # fmt: skip
"""Everything a step can ask for. Plans are lists of these, so a plan can be shown before it is done."""
