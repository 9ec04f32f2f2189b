"""Where a platform of this machine keeps its state: `$ATOLL_HOME/<name>`."""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from atoll.cli.exits import UsageError
from atoll.domain.names import name_problem
from atoll.hosts.processes import Platform, private_file

SIMULATED = (
    "This host is the sandbox.\n"
    "  Real:      etcd, a Kubernetes API server for every virtual cluster, controller manager,\n"
    "             scheduler, Redis, Celery, helm; Ray's heads and workers, as local processes.\n"
    "  Simulated: nodes and all other pods (KWOK); the programs of vcluster, KubeRay and Volcano,\n"
    "             played by stand-ins that take the same chart values. There are no containers,\n"
    "             so nothing keeps one pod from another."
)
"""What the sandbox simulates; said at the start and the end of `atoll up`."""


@dataclass
class State:
    """What was chosen when a platform was made."""

    host: str
    nodes: dict[str, int] = field(default_factory=dict)
    kubeconfig: str | None = None
    labelled: list[str] = field(default_factory=list)
    installed: bool = True
    """Whether `up` came so far as to write to the host; a platform made before this was told did."""


class Place:
    """The folder of one platform."""

    def __init__(self, name: str) -> None:
        problem = None if name == "default" else name_problem(name)
        if problem:
            raise UsageError(f"--name {problem}.")
        self.name = name
        self.root = home() / name
        self.platform = Platform(self.root)
        self.sandbox = self.root / "sandbox"
        self.kind = self.root / "kind"
        self.queue = self.root / "queue"
        self.token_file = self.root / "admin-token"

    @property
    def state(self) -> State | None:
        """What was chosen, None when nothing was made under this name."""
        try:
            return State(**json.loads((self.root / "state.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, state: State) -> None:
        """Remember what was chosen."""
        private_file(self.root / "state.json", json.dumps(asdict(state), indent=1))

    def token(self) -> str:
        """The admin token of this platform, made at the first call."""
        if not self.token_file.exists():
            private_file(self.token_file, secrets.token_urlsafe(32))
        return self.token_file.read_text().strip()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One `up` or `down` per name at a time; a second one waits."""
        home().mkdir(parents=True, exist_ok=True, mode=0o700)
        with (home() / f".{self.name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def home() -> Path:
    """$ATOLL_HOME, or ~/.local/state/atoll."""
    chosen = os.environ.get("ATOLL_HOME")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "atoll"


def names() -> list[str]:
    """Every platform of this machine."""
    if not home().exists():
        return []
    return sorted(path.parent.name for path in home().glob("*/state.json"))
