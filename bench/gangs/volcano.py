"""The real scheduler and controller of Volcano, as processes of this machine.

They come out of the bundle's image archives into a folder that is removed again; nothing is installed.
"""

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Self

import yaml

CONFIGURATION = """
actions: "enqueue, allocate, backfill"
tiers:
- plugins:
  - name: priority
  - name: gang
    enablePreemptable: false
  - name: conformance
- plugins:
  - name: overcommit
  - name: drf
    enablePreemptable: false
  - name: predicates
  - name: proportion
  - name: nodeorder
  - name: binpack
"""
"""The chart's own, of Volcano 1.15."""


class NoVolcanoError(Exception):
    """Why it cannot run here, in words."""


def definitions(bundle: Path) -> list[dict[str, object]]:
    """The custom resource definitions of the bundle's Volcano chart."""
    with tarfile.open(_only(bundle / "charts", "volcano-*.tgz")) as archive:
        return [
            yaml.safe_load(_content(archive, member))
            for member in archive
            if "/crd/v1/" in member.name and member.isfile()
        ]


def program(bundle: Path, name: str, folder: Path) -> Path:
    """The program out of its image (docker-save or OCI layout with plain layers)."""
    target = folder / name
    with tarfile.open(_only(bundle / "images", f"{name}-*.tar")) as image:
        layers = json.loads(_content(image, image.getmember("manifest.json")))[0]["Layers"]
        for layer in layers:
            with tarfile.open(fileobj=io.BytesIO(_content(image, image.getmember(layer)))) as files:
                for member in files:
                    if member.isfile() and Path(member.name).name == name:
                        target.write_bytes(_content(files, member))
                        target.chmod(0o755)
                        return target
    raise NoVolcanoError(f"the image of {name} in {bundle} does not hold the program {name}")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise NoVolcanoError(
            f"there is no {pattern} in {folder} (make a bundle: atoll bundle pull)"
        )
    return found[-1]


class Volcano:
    """Scheduler and controller against one API server, until the block ends."""

    def __init__(self, bundle: Path, kubeconfig: Path, folder: Path) -> None:
        self._kubeconfig, self._folder = kubeconfig, folder
        self._programs = {
            name: program(bundle, name, folder)
            for name in ("vc-scheduler", "vc-controller-manager")
        }
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        configuration = self._folder / "scheduler.conf"
        configuration.write_text(CONFIGURATION)
        shared = [f"--kubeconfig={self._kubeconfig}", "--leader-elect=false", "--logtostderr"]
        self._start(
            "vc-scheduler", *shared, f"--scheduler-conf={configuration}", "--cache-dumper=false"
        )
        self._start(
            "vc-controller-manager", *shared, "--kube-api-qps=500", "--kube-api-burst=1000",
            "--controllers=pg-controller,queue-controller",
        )  # fmt: skip
        return self

    def _start(self, name: str, *arguments: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running.append(
                subprocess.Popen([str(self._programs[name]), *arguments], stdout=log, stderr=log)
            )

    def check(self) -> None:
        """Raises NoVolcanoError with the last words of a program that has ended."""
        for process, name in zip(self._running, self._programs, strict=True):
            if process.poll() is not None:
                log = (self._folder / f"{name}.log").read_text()[-800:]
                raise NoVolcanoError(f"{name} ended with {process.returncode}: {log}")

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(20)
