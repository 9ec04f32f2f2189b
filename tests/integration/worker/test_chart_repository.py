"""Charts from a repository, by the real helm: what it has is kept, what it has not is named."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from atoll.errors import PermanentError, TemporaryError
from atoll.hosts.bundle_transfer import run
from atoll.hosts.sandbox import pack_charts
from atoll.hosts.toolchain import Toolchain
from atoll.resources.profiles import Chart
from atoll_worker.adapters.charts import archive, digest


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Not into the output of the tests."""


@pytest.fixture(scope="module")
def helm() -> str:
    return str(Toolchain().path("helm"))


@pytest.fixture(scope="module")
def repository(helm: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("repository")
    pack_charts([("volcano", "1.15.1")], folder)
    run([helm, "repo", "index", str(folder)], "index")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path))
    return tmp_path / "charts"


def chart(repository: str, version: str = "1.15.1", pinned: str | None = None) -> Chart:
    return Chart(repository=repository, name="volcano", version=version, digest=pinned)


async def test_one_that_is_there(repository: str, helm: str, cache: Path) -> None:
    path = await archive(chart(repository), None, helm)
    assert path.is_file()
    assert [file.name for file in cache.iterdir()] == ["volcano-1.15.1.tgz"]
    # From now on without the repository.
    again = await archive(chart("http://127.0.0.1:1", pinned=digest(path)), None, helm)
    assert again == path


async def test_a_version_that_there_is_not(repository: str, helm: str, cache: Path) -> None:
    with pytest.raises(PermanentError, match=r"has no chart volcano 77\.0\.0") as missing:
        await archive(chart(repository, "77.0.0"), None, helm)
    assert (missing.value.reason, missing.value.who) == ("ChartMissing", "admin")
    assert list(cache.iterdir()) == []


async def test_a_repository_that_does_not_answer(helm: str, cache: Path) -> None:
    with pytest.raises(TemporaryError) as silent:
        await archive(chart("http://127.0.0.1:1"), None, helm)
    assert silent.value.reason == "RepositoryUnreachable"


async def test_another_archive_than_pinned(repository: str, helm: str, cache: Path) -> None:
    with pytest.raises(PermanentError) as altered:
        await archive(chart(repository, pinned="sha256:00"), None, helm)
    assert altered.value.reason == "ChartDigestMismatch"
