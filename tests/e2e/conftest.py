"""Shared by the end-to-end tests: the stage, a platform on this machine, virtual clusters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.clusters import Clusters
from e2e.figures import Figures
from e2e.local import Local
from e2e.stage import NoStageError, Stage, open_stage

ORDER = ("test_bundle", "test_up", "test_gangs", "test_kubectl", "test_two_teams", "test_gangs_whole",
         "test_ray_workloads", "test_limits_hold", "test_second_pass", "test_second_scheduler",
         "test_shared_mode", "test_kill_worker", "test_broken_parts",
         "test_gcs_fault_tolerance", "test_external_redis", "test_down",
         "test_in_cluster", "test_gangs_by_thousands")  # fmt: skip
"""By value; the platform on this machine must be gone before the one in the cluster is installed."""
CORE = ("test_bundle", "test_up", "test_gangs", "test_kubectl", "test_two_teams",
        "test_kill_worker", "test_down", "test_in_cluster")  # fmt: skip
"""The main job in both ways to run the platform: what `make test` has time for. The others are
marked `long`; `make e2e` runs all."""
_FIGURES = Figures()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(900))
            if item.path.stem not in CORE:
                item.add_marker(pytest.mark.long)
    names = {name: place for place, name in enumerate(ORDER)}
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    mine.sort(key=lambda item: names.get(item.path.stem, len(names)))
    order = iter(mine)
    items[:] = [next(order) if item in mine else item for item in items]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES.lines:
        terminalreporter.section("end-to-end figures")
        for line in _FIGURES.lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def figures() -> Figures:
    return _FIGURES


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """A real cluster, or a skip that says why there is none."""
    try:
        opened = open_stage()
        found = opened.__enter__()
    except NoStageError as error:
        pytest.skip(f"end-to-end tests: {error}")
    yield found
    opened.__exit__(None, None, None)


@pytest.fixture(scope="session")
def local(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A platform of this run's own; `atoll up` is the tests' to call, `atoll down` is certain."""
    made = Local(stage, tmp_path_factory.mktemp("platform"))
    try:
        yield made
        if made.lives:
            done = made.down()
            assert done.code == 0, done.err
    finally:
        made.end()


@pytest.fixture(scope="session")
def platform(local: Local, figures: Figures) -> Local:
    """The platform running, without a demonstration unless a test before had it made."""
    if not local.lives:
        ran = local.up(demo=False)
        assert ran.code == 0, ran.err
    return local


@pytest.fixture
def clusters(platform: Local, figures: Figures) -> Iterator[Clusters]:
    """Makes virtual clusters of this test's own; they are gone, and proven gone, after it."""
    made = Clusters(platform, figures)
    yield made
    made.remove_all()
