"""The authority of this machine: what it signs is trusted, its keys are private, nothing lapses."""

import ssl
import stat
import subprocess
from pathlib import Path

import pytest

from atoll.hosts.sandbox import certificates
from atoll.hosts.sandbox.certificates import issue_serving


def verifies(folder: Path, host: str) -> bool:
    argv = ["openssl", "verify", "-CAfile", str(folder / "ca.crt"), "-purpose", "sslserver"]
    ip = host.replace(".", "").isdigit()
    argv += ["-verify_ip" if ip else "-verify_hostname", host, str(folder / "server.crt")]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def test_a_second_call_keeps_everything(tmp_path: Path) -> None:
    first = issue_serving(tmp_path / "tls", ())
    before = {file.name: file.read_bytes() for file in first.folder.iterdir()}
    assert issue_serving(tmp_path / "tls", ()) == first
    assert {file.name: file.read_bytes() for file in first.folder.iterdir()} == before


def test_only_its_own_names_are_vouched_for(tmp_path: Path) -> None:
    issue_serving(tmp_path, ("atoll.test",))
    assert all(verifies(tmp_path, host) for host in ("127.0.0.1", "localhost", "atoll.test"))
    assert not verifies(tmp_path, "elsewhere.test")


def test_keys_are_private_and_fit(tmp_path: Path) -> None:
    made = issue_serving(tmp_path / "tls", ())
    for key in made.folder.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(*made.server)


def test_what_ends_soon_is_made_anew_under_the_same_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as short:
        short.setattr(certificates, "_DAYS", "20")
        issue_serving(tmp_path, ())
    authority = (tmp_path / "ca.crt").read_bytes()
    old = (tmp_path / "server.crt").read_bytes()
    issue_serving(tmp_path, ())
    assert (tmp_path / "ca.crt").read_bytes() == authority
    assert (tmp_path / "server.crt").read_bytes() != old
    assert verifies(tmp_path, "127.0.0.1")
