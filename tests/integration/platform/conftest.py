"""One platform in the sandbox for all tests of this folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builders.sandbox_site import Site, run


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("home")
    try:
        made = run(home, "up", "--host", "sandbox", "--nodes", "4c8g=3", "--no-demo", "-o", "json")
        told: dict[str, Any] = json.loads(made.stdout)
        yield Site(home, told["api"], told["token"], Path(told["kubeconfig"]))
    finally:
        gone = run(home, "down", check=False)
    assert gone.returncode == 0, gone.stderr
