"""The real scheduler and controller of Volcano, as processes of this machine.

They come out of the bundle's image archives into a folder that is removed again, and run with the flags
and the configuration that its chart gives them under the values of our adapter; nothing is installed.
"""

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import yaml
from bench.gangs.site import Programs

from atoll.hosts.bundle import Bundle
from atoll.hosts.errors import BundleError
from atoll.resources.profiles import Profile
from atoll_worker.reconcile.schedulers.volcano import Volcano as Adapter

SCHEDULER, CONTROLLER = "vc-scheduler", "vc-controller-manager"


class NoVolcanoError(Exception):
    """Why it cannot run here, in words."""


def definitions(bundle: Path) -> list[dict[str, object]]:
    """The custom resource definitions of the bundle's Volcano chart."""
    with tarfile.open(chart_of(bundle)) as archive:
        return [
            yaml.safe_load(_content(archive, member))
            for member in archive
            if "/crd/v1/" in member.name and member.isfile()
        ]


def settings(bundle: Path) -> dict[str, Any]:
    """The chart's `custom` values as a virtual cluster has them: its own, and over them our adapter's."""
    own = yaml.safe_load(_of_chart(bundle, "volcano/values.yaml"))["custom"]
    return {**own, **Adapter().values(_profile())["custom"]}


def configuration(bundle: Path) -> str:
    """The scheduler's actions and plugins as a virtual cluster has them."""
    override = settings(bundle)["scheduler_config_override"]
    return override or _of_chart(bundle, "volcano/config/volcano-scheduler.conf").decode()


def _profile() -> Profile:
    chart = {"repository": "https://charts.example", "name": "c", "version": "1"}
    spec = {
        "kubernetes": {"version": "1.36.3"}, "vcluster": {"chart": chart}, "ray": {"version": "2.60.0"},
        "kuberay": {"chart": chart}, "scheduler": {"name": "volcano", "chart": chart},
    }  # fmt: skip
    return Profile.model_validate({"metadata": {"name": "bench"}, "spec": spec})


def program(bundle: Path, name: str, folder: Path) -> Path:
    """The program out of its image (docker-save or OCI layout with plain layers)."""
    target = folder / name
    with tarfile.open(image_of(bundle, name)) as image:
        layers = json.loads(_content(image, image.getmember("manifest.json")))[0]["Layers"]
        for layer in layers:
            with tarfile.open(fileobj=io.BytesIO(_content(image, image.getmember(layer)))) as files:
                for member in files:
                    if member.isfile() and Path(member.name).name == name:
                        target.write_bytes(_content(files, member))
                        target.chmod(0o755)
                        return target
    raise NoVolcanoError(f"the image of {name} in {bundle} does not hold the program {name}")


def _of_chart(bundle: Path, path: str) -> bytes:
    with tarfile.open(chart_of(bundle)) as archive:
        return _content(archive, archive.getmember(path))


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def chart_of(bundle: Path) -> Path:
    """The archive of Volcano's chart, by the bundle's index; NoVolcanoError."""
    found = {
        chart.version: chart.file for chart in _known(bundle).charts if chart.name == "volcano"
    }
    return bundle / _newest(found, bundle, "chart of Volcano")


def image_of(bundle: Path, name: str) -> Path:
    """The image archive of a program of Volcano's, by the bundle's index; NoVolcanoError."""
    found = {}
    for image in _known(bundle).images:
        repository, _, version = image.reference.rpartition(":")
        if repository.endswith(f"/{name}"):
            found[version] = image.file
    return bundle / _newest(found, bundle, f"image of {name}")


def _known(bundle: Path) -> Bundle:
    try:
        return Bundle.read(bundle)
    except BundleError as error:
        raise NoVolcanoError(f"{error} Make one with atoll bundle pull.") from error


def _newest(found: dict[str, str], bundle: Path, what: str) -> str:
    """The file of the highest version, as 1.15.1 or v1.15.1."""
    if not found:
        raise NoVolcanoError(f"there is no {what} in {bundle} (add it with atoll bundle pull)")
    return found[max(found, key=lambda version: [int(n) for n in re.findall(r"\d+", version)])]


class Volcano:
    """Scheduler and controller against one API server; they end with `programs`."""

    def __init__(
        self, bundle: Path, kubeconfig: Path, programs: Programs, **changed: object
    ) -> None:
        """`changed`: other values for the chart's `custom`."""
        folder = programs.folder
        self._programs, self._kubeconfig = programs, kubeconfig
        self._settings = {**settings(bundle), **changed}
        self._files = {name: program(bundle, name, folder) for name in (SCHEDULER, CONTROLLER)}
        self._configuration = folder / "scheduler.conf"
        self._configuration.write_text(
            str(self._settings["scheduler_config_override"] or configuration(bundle))
        )

    def start(self) -> None:
        """Start both."""
        self.start_scheduler()
        self._start(
            CONTROLLER, "--enable-healthz=false", *self._flags("controller_"),
            *self._threads(),
            # The others look after Volcano's own kinds of jobs, which nobody makes here.
            "--controllers=pg-controller,queue-controller",
        )  # fmt: skip

    def start_scheduler(self) -> None:
        """Start it, again after a kill."""
        self._start(
            SCHEDULER, f"--scheduler-conf={self._configuration}", "--cache-dumper=false",
            "--enable-healthz=false", "--enable-metrics=false",
            f"--schedule-period={self._settings['scheduler_schedule_period']}",
            f"--node-worker-threads={self._settings['scheduler_node_worker_threads']}",
            *self._flags("scheduler_"),
        )  # fmt: skip

    def _flags(self, prefix: str) -> list[str]:
        names = {"kube_api_qps": "kube-api-qps", "kube_api_burst": "kube-api-burst"}
        return [f"--{flag}={self._settings[prefix + name]}" for name, flag in names.items()]

    def _threads(self) -> list[str]:
        flags = {
            "controller_worker_threads": "worker-threads",
            "controller_worker_threads_for_gc": "worker-threads-for-gc",
            "controller_worker_threads_for_podgroup": "worker-threads-for-podgroup",
        }
        return [f"--{flag}={self._settings[name]}" for name, flag in flags.items()]

    def _start(self, name: str, *arguments: str) -> int:
        shared = [f"--kubeconfig={self._kubeconfig}", "--leader-elect=false", "--logtostderr"]
        return self._programs.start(name, [str(self._files[name]), *shared, *arguments])
