"""Runs Ray's command line so that it stays on the loopback address.

`python rayentry.py start ...` with the Python of a Ray environment; it imports nothing of Atoll.
Ray replaces 127.0.0.1 by the machine's own address wherever it can, which the other programs of a
sandbox do not listen on, and refuses workers when told not to.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

_START_SECONDS = 180.0


def patient(get_node: Callable[..., Any]) -> Callable[..., Any]:
    """A look-up of the own node that waits: Ray gives a raylet 30 s, too few on a busy machine."""
    deadline = time.monotonic() + _START_SECONDS

    def look(*args: Any, **kwargs: Any) -> Any:
        while True:
            try:
                return get_node(*args, **kwargs)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    return look


def main() -> None:
    """Become `ray`, with the loopback address and with the Redis password of the environment."""
    # Imported by name: this runs with another Python than Atoll, which has no Ray.
    services: Any = import_module("ray._private.services")
    constants: Any = import_module("ray._private.ray_constants")
    node: Any = import_module("ray._private.node").Node
    prepare = node._prepare_socket_file
    # Two nodes that start at once in one session would choose the same socket names.
    node._prepare_socket_file = lambda self, socket_path, default_prefix: prepare(
        self,
        socket_path or f"{self._sockets_dir}/{default_prefix}.{os.getpid()}",
        default_prefix,
    )

    services.get_node_ip_address = lambda address=None: "127.0.0.1"
    # In a pod of its own Ray would not see the processes of other nodes; here it would.
    services.find_gcs_addresses = lru_cache(set)
    services.get_node = patient(services.get_node)
    constants.ENABLE_RAY_CLUSTER = True
    # In one folder the nodes of a session would delete each other's working directories, and with
    # them the current directory of a running job.
    constants.DEFAULT_RUNTIME_ENV_DIR_NAME = f"runtime_resources_{os.getpid()}"
    if "--head" in sys.argv:
        # KubeRay hands them over as arguments; here they are in no argument list.
        for option, variable in (("username", "REDIS_USERNAME"), ("password", "REDIS_PASSWORD")):
            if os.environ.get(variable):
                sys.argv.append(f"--redis-{option}={os.environ[variable]}")
    import_module("ray.scripts.scripts").main()


if __name__ == "__main__":
    main()
