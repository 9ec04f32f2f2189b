"""The real Volcano of a bundle over KWOK nodes, for tests; or the reason why there is none."""

from pathlib import Path

import pytest
from bench.gangs.volcano import CONTROLLER, SCHEDULER, NoVolcanoError, only

from e2e.stage import NoStageError, bundle_folder


def bundle() -> Path:
    """A bundle with Volcano's chart and images; skips, and says why, where there is none."""
    try:
        folder = bundle_folder()
        only(folder / "charts", "volcano-*.tgz")
        for name in (SCHEDULER, CONTROLLER):
            only(folder / "images", f"{name}-*.tar")
    except (NoStageError, NoVolcanoError) as error:
        pytest.skip(f"the real Volcano: {error}")
    return folder
