"""An environment with no way out: what is asked of another network ends at a proxy that is not there.

So whatever a platform fetches beside the bundle (a chart by helm, a program by the toolchain) fails.
The nodes' own pulls of images are containerd's and not touched by it.
"""

import socket
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import yaml

_NEAR = ("localhost", "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
         "100.64.0.0/10", "::1", "fc00::/7")  # fmt: skip
"""Loopback and the private networks, in which nodes, pods and Services are. Go and httpx2 both take
networks here: addresses of virtual clusters are not known before these are made.
"""


def _bound() -> socket.socket:
    """Bound and never listening: whoever connects is refused, and nobody else gets the port."""
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


@dataclass
class NoWayOut:
    """Proxy variables for processes that shall reach a cluster by its kubeconfig, and no other network."""

    kubeconfig: Path
    _nobody: socket.socket = field(default_factory=_bound)

    def close(self) -> None:
        """Give the port back; the environment is of no use after it."""
        self._nobody.close()

    @property
    def env(self) -> dict[str, str]:
        """Large and small, since a machine may have its own of either, and the small ones win."""
        proxy = f"http://127.0.0.1:{self._nobody.getsockname()[1]}"
        clusters = yaml.safe_load(self.kubeconfig.read_text())["clusters"]
        hosts = (urlsplit(each["cluster"]["server"]).hostname or "" for each in clusters)
        told = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), proxy)
        told["NO_PROXY"] = ",".join([*_NEAR, *hosts])
        return told | {name.lower(): value for name, value in told.items()}
