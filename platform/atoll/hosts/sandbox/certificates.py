"""A small certificate authority per API server, made with the openssl program."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from atoll.hosts.errors import SandboxError

_DAYS = "365"
_AUTHORITY_DAYS = "3650"
_SOON_SECONDS = str(30 * 86400)


@dataclass(frozen=True)
class Certificates:
    """The files of one authority; keys have mode 0600."""

    folder: Path

    @property
    def ca(self) -> Path:
        """Certificate of the authority."""
        return self.folder / "ca.crt"

    @property
    def server(self) -> tuple[Path, Path]:
        """Certificate and key that servers show."""
        return self.folder / "server.crt", self.folder / "server.key"

    @property
    def admin(self) -> tuple[Path, Path]:
        """Certificate and key of a client in group system:masters."""
        return self.folder / "admin.crt", self.folder / "admin.key"

    @property
    def accounts(self) -> Path:
        """Key that signs service account tokens."""
        return self.folder / "sa.key"

    @property
    def accounts_public(self) -> Path:
        """Key that service account tokens are checked with."""
        return self.folder / "sa.pub"


def issue(folder: Path, hosts: Iterable[str]) -> Certificates:
    """Make the files that are missing in `folder`; `hosts` are the names the server answers to."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Certificates(folder)
    if not made.ca.exists():
        _authority(folder)
    if not made.accounts.exists():
        _key(made.accounts)
        _openssl("pkey", "-in", str(made.accounts), "-pubout", "-out", str(made.accounts_public))
    names = ["127.0.0.1", "localhost", *hosts]
    wanted = folder / "server.hosts"
    if not wanted.exists() or wanted.read_text().split() != names:
        _sign(folder, "server", "/CN=sandbox", names)
        wanted.write_text("\n".join(names))
    if not made.admin[0].exists():
        _sign(folder, "admin", "/O=system:masters/CN=kubernetes-admin", ())
    return made


def issue_serving(folder: Path, hosts: Iterable[str]) -> Certificates:
    """An authority and a server's certificate alone; the latter is made anew before it ends.

    What trusts the authority goes on doing so. SandboxError when there is no openssl.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Certificates(folder)
    names = ["127.0.0.1", "localhost", *hosts]
    if not made.ca.exists():
        _authority(folder, "/CN=atoll-local-ca", _AUTHORITY_DAYS)
        made.server[0].unlink(missing_ok=True)
    wanted = folder / "server.hosts"
    same = wanted.exists() and wanted.read_text().split() == names
    if not (same and made.server[0].exists() and _lasts(made.server[0])):
        _sign(folder, "server", "/CN=atoll-local", names)
        wanted.write_text("\n".join(names))
    return made


def _lasts(certificate: Path) -> bool:
    asked = ["openssl", "x509", "-in", str(certificate), "-noout", "-checkend", _SOON_SECONDS]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def _openssl(*args: str) -> None:
    if shutil.which("openssl") is None:
        raise SandboxError(
            "openssl is not installed: certificates of this machine are made with it. "
            "Install it (Debian: apt-get install openssl) and run this again."
        )
    done = subprocess.run(["openssl", *args], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SandboxError(f"openssl {args[0]} failed: {done.stderr.strip()[-300:]}")


def _key(path: Path) -> None:
    mask = os.umask(0o077)
    try:
        _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                 "-out", str(path))  # fmt: skip
    finally:
        os.umask(mask)


def _authority(folder: Path, subject: str = "/CN=sandbox-ca", days: str = _DAYS) -> None:
    key = folder / "ca.key"
    _key(key)
    _openssl("req", "-x509", "-new", "-key", str(key), "-subj", subject, "-days", days,
             "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
             "-out", str(folder / "ca.crt"))  # fmt: skip


def _sign(folder: Path, name: str, subject: str, hosts: Iterable[str]) -> None:
    key, request, extensions = (folder / f"{name}.{kind}" for kind in ("key", "csr", "ext"))
    _key(key)
    _openssl("req", "-new", "-key", str(key), "-subj", subject, "-out", str(request))
    lines = ["keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth,clientAuth"]
    if hosts:
        lines.append("subjectAltName=" + ",".join(_alternative(host) for host in hosts))
    extensions.write_text("\n".join(lines))
    _openssl("x509", "-req", "-in", str(request), "-CA", str(folder / "ca.crt"),
             "-CAkey", str(folder / "ca.key"), "-set_serial", str(int.from_bytes(os.urandom(8))),
             "-days", _DAYS, "-extfile", str(extensions),
             "-out", str(folder / f"{name}.crt"))  # fmt: skip
    request.unlink()
    extensions.unlink()


def _alternative(host: str) -> str:
    try:
        return f"IP:{ip_address(host)}"
    except ValueError:
        return f"DNS:{host}"
