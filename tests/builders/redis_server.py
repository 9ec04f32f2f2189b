"""A real Redis of a test's own, plain or with TLS."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from waiting import until

ADMIN = "the-administrators"


@dataclass(frozen=True)
class Server:
    """Where it answers on 127.0.0.1, and whom to believe under TLS."""

    port: int
    authority: str | None = None

    def client(self, user: str | None = None, password: str = ADMIN) -> "Redis":
        tls = {"ssl": True, "ssl_ca_data": self.authority} if self.authority else {}
        return Redis(
            host="127.0.0.1", port=self.port, username=user, password=password,
            decode_responses=True, **tls,  # type: ignore[arg-type]
        )  # fmt: skip


def certificate(folder: Path, name: str = "IP:127.0.0.1") -> str:
    """A certificate that is its own authority, in `folder`; the PEM."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=redis", "-addext", f"subjectAltName={name}",
         "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    return (folder / "cert.pem").read_text()


@contextmanager
def redis_server(folder: Path, *lines: str, authority: str | None = None) -> Iterator[Server]:
    """Runs until the block ends. `lines` are more of its configuration."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    listens = [f"port {port}"]
    if authority:
        listens = ["port 0", f"tls-port {port}", f"tls-cert-file {folder}/cert.pem",
                   f"tls-key-file {folder}/key.pem", "tls-auth-clients no"]  # fmt: skip
    conf = folder / f"redis-{port}.conf"
    told = ["bind 127.0.0.1", f"dir {folder}", 'save ""', f"requirepass {ADMIN}",
            "maxmemory-policy noeviction"]  # fmt: skip
    conf.write_text("\n".join([*listens, *told, *lines, ""]))
    process = subprocess.Popen(["redis-server", str(conf)], stdout=subprocess.DEVNULL)
    server = Server(port, authority)
    try:
        until(lambda: _answers(server), "Redis answers")
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _answers(server: Server) -> bool:
    """Without a look at its name: some tests want it to have a wrong one."""
    tls = {"ssl": True, "ssl_cert_reqs": "none"} if server.authority else {}
    with Redis(host="127.0.0.1", port=server.port, password=ADMIN, **tls) as client:  # type: ignore[arg-type]
        try:
            return bool(client.ping())
        except RedisError:
            return False
