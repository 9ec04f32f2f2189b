"""The Redis of the platform's own queue: a process on loopback, its password in a private file."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from atoll.hosts.processes import Platform, Unit, kept_port, listens, private_file


@dataclass(frozen=True)
class Broker:
    """The queue's Redis: how to start it and how to reach it."""

    unit: Unit
    port: int
    url: str


def broker(program: Path, folder: Path, platform: Platform) -> Broker:
    """The broker of one platform, with the same port and password at every start.

    It keeps nothing on disk: the queue carries hints alone and may be lost.
    """
    running = any(state.name == "redis" and state.alive for state in platform.states())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    port = kept_port(folder / "port", in_use=running)
    secret = folder / "password"
    if not secret.exists():
        private_file(secret, secrets.token_urlsafe(24))
    password = secret.read_text().strip()
    config = private_file(
        folder / "redis.conf",
        f'bind 127.0.0.1\nport {port}\ndir {folder}\nsave ""\nappendonly no\n'
        f"requirepass {password}\ndaemonize no\nmaxmemory 64mb\nmaxmemory-policy noeviction\n",
    )
    unit = Unit("redis", [str(program), str(config)], {}, port_file=False)
    return Broker(unit, port, f"redis://:{password}@127.0.0.1:{port}/0")


def broker_listens(found: Broker) -> bool:
    """Whether the broker takes connections."""
    return listens(found.port)
