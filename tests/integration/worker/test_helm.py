"""Helm through pyhelm3 and our command, on a real API server with a real helm."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import CONFIG_MAP, CRD, SECRET
from atoll.errors import PermanentError
from atoll.resources.profiles import Chart
from atoll_worker.adapters import helm
from atoll_worker.adapters.charts import archive, digest
from atoll_worker.adapters.command import ExecCommand
from atoll_worker.adapters.helm import HelmReleases, decode, encode
from conftest import binary

TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  word: {{ .Values.word | quote }}
"""


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart that makes one ConfigMap and refuses a word that is not text."""
    folder = tmp_path / "tiny"
    (folder / "templates").mkdir(parents=True)
    meta = {"apiVersion": "v2", "name": "tiny", "version": "1.0.0"}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(meta))
    (folder / "values.yaml").write_text("word: none\n")
    (folder / "templates" / "map.yaml").write_text(TEMPLATE)
    schema = '{"type": "object", "properties": {"word": {"type": "string"}}}'
    (folder / "values.schema.json").write_text(schema)
    return folder


@pytest.fixture
def releases() -> HelmReleases:
    return HelmReleases(binary("helm"), None)


async def test_install_upgrade_find_and_uninstall(
    api_server: Path, chart: Path, releases: HelmReleases
) -> None:
    async with Cluster.from_file(api_server) as cluster:
        assert await releases.find(cluster, "one", "default") is None
        await releases.install(cluster, api_server, "one", "default", chart, {"word": "a"})
        found = await releases.find(cluster, "one", "default")
        assert found
        assert (found.status, found.revision, found.chart_version) == ("deployed", 1, "1.0.0")
        assert found.values_hash == releases.values_hash({"word": "a"})
        await releases.install(cluster, api_server, "one", "default", chart, {"word": "b"})
        assert (await cluster.get(CONFIG_MAP, "one", "default"))["data"] == {"word": "b"}
        await releases.uninstall(cluster, api_server, "one", "default")
        await releases.uninstall(cluster, api_server, "one", "default")
        assert await cluster.find(CONFIG_MAP, "one", "default") is None


async def test_the_record_of_a_release_is_read_once_and_anew_when_it_has_changed(
    api_server: Path, chart: Path, releases: HelmReleases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record holds the whole chart, with KubeRay a megabyte, and is asked for at every look."""
    decoded: list[str] = []

    def counted(secret: Object) -> dict[str, Any]:
        decoded.append(secret["metadata"]["name"])
        return decode(secret)

    async with Cluster.from_file(api_server) as cluster:
        await releases.install(cluster, api_server, "kept", "default", chart, {"word": "a"})
        monkeypatch.setattr(helm, "decode", counted)
        first = await releases.find(cluster, "kept", "default")
        assert await releases.find(cluster, "kept", "default") == first
        assert len(decoded) == 1
        await releases.install(cluster, api_server, "kept", "default", chart, {"word": "b"})
        found = await releases.find(cluster, "kept", "default")
        assert found
        assert (found.revision, found.values_hash) == (2, releases.values_hash({"word": "b"}))


async def test_what_a_dead_helm_left_pending_is_unlocked_and_finished(
    api_server: Path, chart: Path, releases: HelmReleases
) -> None:
    async with Cluster.from_file(api_server) as cluster:
        await releases.install(cluster, api_server, "stuck", "default", chart, {"word": "a"})
        (secret,) = await cluster.items(SECRET, "default", {"owner": "helm", "name": "stuck"})
        record = decode(secret)
        record["info"]["status"] = "pending-install"
        secret["metadata"]["labels"]["status"] = "pending-install"
        secret["data"]["release"] = encode(record)
        await cluster.replace(secret)
        found = await releases.find(cluster, "stuck", "default")
        assert found
        assert found.pending
        uid = (await cluster.get(CONFIG_MAP, "stuck", "default"))["metadata"]["uid"]
        await releases.install(cluster, api_server, "stuck", "default", chart, {"word": "b"})
        found = await releases.find(cluster, "stuck", "default")
        assert found
        assert found.status == "deployed"
        kept = await cluster.get(CONFIG_MAP, "stuck", "default")
        assert kept["metadata"]["uid"] == uid  # upgraded, never uninstalled
        assert kept["data"] == {"word": "b"}


async def test_a_chart_that_refuses_its_values_says_why_and_is_permanent(
    api_server: Path, chart: Path, releases: HelmReleases
) -> None:
    async with Cluster.from_file(api_server) as cluster:
        with pytest.raises(PermanentError, match="word") as refused:
            await releases.install(cluster, api_server, "bad", "default", chart, {"word": 7})
        assert refused.value.reason == "ChartRefusedValues"
        assert await releases.find(cluster, "bad", "default") is None


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state != "Z"


def slow_helm(folder: Path) -> Path:
    """An executable that tells its pid and then hangs, as a helm in trouble would."""
    script = folder / "helm"
    script.write_text(f"#!{shutil.which('sh')}\necho $$ > {folder}/pid\nexec sleep 60\n")
    script.chmod(0o755)
    return script


async def read_pid(folder: Path) -> int:
    for _ in range(1200):
        if (folder / "pid").exists() and (folder / "pid").read_text().strip():
            return int((folder / "pid").read_text())
        await asyncio.sleep(0.05)
    pytest.fail("it never started")


async def test_a_cancelled_call_leaves_no_process(tmp_path: Path) -> None:
    call = asyncio.create_task(ExecCommand(executable=str(slow_helm(tmp_path))).run(["list"]))
    pid = await read_pid(tmp_path)
    assert alive(pid)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not alive(pid)


async def test_helm_dies_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from atoll_worker.adapters.command import ExecCommand; "
        "asyncio.run(ExecCommand(executable=sys.argv[1]).run(['list']))"
    )
    worker = subprocess.Popen([sys.executable, "-c", code, str(slow_helm(tmp_path))])
    pid = await read_pid(tmp_path)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    deadline = time.monotonic() + 30
    while alive(pid) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert not alive(pid)


async def test_an_archive_must_hash_to_what_is_pinned(tmp_path: Path) -> None:
    (tmp_path / "tiny-1.0.0.tgz").write_bytes(b"not what you think")
    good = digest(tmp_path / "tiny-1.0.0.tgz")
    where = {"repository": "https://charts.example", "name": "tiny", "version": "1.0.0"}
    path = await archive(Chart.model_validate({**where, "digest": good}), tmp_path, "helm")
    assert path.name == "tiny-1.0.0.tgz"
    with pytest.raises(PermanentError, match="pins sha256:00") as wrong:
        await archive(Chart.model_validate({**where, "digest": "sha256:00"}), tmp_path, "helm")
    assert wrong.value.reason == "ChartDigestMismatch"
    with pytest.raises(PermanentError) as missing:
        await archive(Chart.model_validate({**where, "version": "2.0.0"}), tmp_path, "helm")
    assert missing.value.reason == "ChartMissing"


CRD_TEMPLATE = """\
# What the operator reads; kind: of documents
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  annotations: {made-by: test}
  name: widgets.test.atoll.dev
spec:
  group: test.atoll.dev
  names: {kind: Widget, plural: widgets}
  scope: Cluster
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {spec: {type: object, properties: {FIELD: {type: string}}}}
"""


async def test_a_newer_chart_brings_its_definitions_which_helm_alone_would_not(
    api_server: Path, chart: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    releases = HelmReleases(binary("helm"), bundle)
    (chart / "crds").mkdir()
    async with Cluster.from_file(api_server) as cluster:
        for version, field in (("1.0.0", "old"), ("1.1.0", "new")):
            (chart / "crds" / "widgets.yaml").write_text(CRD_TEMPLATE.replace("FIELD", field))
            meta = {"apiVersion": "v2", "name": "tiny", "version": version}
            (chart / "Chart.yaml").write_text(yaml.safe_dump(meta))
            with tarfile.open(bundle / f"tiny-{version}.tgz", "w:gz") as packed:
                packed.add(chart, "tiny")
            named = Chart(repository="oci://charts.test", name="tiny", version=version)
            await releases.install(cluster, api_server, "widgets", "default", named, {})
            found = await cluster.get(CRD, "widgets.test.atoll.dev")
            schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
            assert set(schema["properties"]) == {field}
        await releases.uninstall(cluster, api_server, "widgets", "default")
        assert await cluster.find(CRD, "widgets.test.atoll.dev"), "resources of users stay"
        await cluster.delete(CRD, "widgets.test.atoll.dev")
