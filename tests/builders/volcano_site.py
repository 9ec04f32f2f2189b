"""The real Volcano of a bundle over KWOK nodes, for tests; or the reason why there is none."""

from pathlib import Path

import pytest
from bench.gangs.volcano import CONTROLLER, SCHEDULER, NoVolcanoError, chart_of, image_of

from e2e.stage import NoStageError, bundle_folder


def bundle() -> Path:
    """A bundle with Volcano's chart and images; skips, and says why, where there is none."""
    try:
        folder = bundle_folder()
        chart_of(folder)
        for name in (SCHEDULER, CONTROLLER):
            image_of(folder, name)
    except (NoStageError, NoVolcanoError) as error:
        pytest.skip(f"the real Volcano: {error}")
    return folder
