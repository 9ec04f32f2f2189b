"""A process that runs for months does not load what draws on terminals."""

import os
import subprocess
import sys

import pytest

SCRIPT = "import sys, {}; print('rich.console' in sys.modules)"


@pytest.mark.parametrize("module", ["atoll.api.app", "atoll_worker.app", "atoll_worker.follow"])
@pytest.mark.parametrize(("service", "loaded"), [("1", "False"), ("", "True")])
def test_rich_is_for_terminals_only(module: str, service: str, loaded: str) -> None:
    env = os.environ | {"ATOLL_SERVICE": service}
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(module)], env=env,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout.strip() == loaded
