"""Fetches the charts and images of profiles into a bundle, and puts its images onto nodes."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from atoll.hosts.bundle import Bundle, needed_images, sha256, write_index
from atoll.hosts.errors import BundleError
from atoll.hosts.profiles import Manifest
from atoll.hosts.recipes import KIND_NODE

Say = Callable[[str], None]
_MINUTES = 60


class Puller:
    """Fetches what profiles need into a folder; what is there and unaltered stays."""

    def __init__(self, folder: Path, helm: str, say: Say) -> None:
        self._folder = folder
        self._helm = helm
        self._say = say
        for part in ("charts", "images"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        self._present = _entries(folder)

    def pull(
        self, profiles: Iterable[Manifest], *, images: bool = True, more: Iterable[str] = ()
    ) -> Bundle:
        """Fetch everything, and the images `more`; check digests, write the index. BundleError says
        what could not be.
        """
        specs = [profile["spec"] for profile in profiles]
        charts = [
            spec[part]["chart"] for spec in specs for part in ("vcluster", "kuberay", "scheduler")
        ]
        references = {ref for spec in specs for ref in needed_images(spec)} if images else set()
        references |= set(more)
        for chart in charts:
            self._chart(chart)
            self._write()
        for reference in sorted(references):
            self._image(reference)
            self._write()
        return Bundle.read(self._folder)

    def _write(self) -> None:
        entries = [self._present[file] for file in sorted(self._present)]
        write_index(
            self._folder,
            [e for e in entries if "version" in e],
            [e for e in entries if "reference" in e],
        )

    def _is_there(self, file: str) -> bool:
        entry, path = self._present.get(file), self._folder / file
        return entry is not None and path.is_file() and sha256(path) == entry["sha256"]

    def _chart(self, chart: Manifest) -> None:
        name, version = chart["name"], chart["version"]
        file = f"charts/{name}-{version}.tgz"
        if not self._is_there(file):
            self._say(f"chart {name} {version} from {chart['repository']}")
            source = ["--repo", chart["repository"], "--version", version]
            target = ["--destination", str(self._folder / "charts")]
            run([self._helm, "pull", name, *source, *target], f"chart {name} {version}")
        digest = sha256(self._folder / file)
        wanted = str(chart.get("digest") or "").removeprefix("sha256:")
        if wanted and digest != wanted:
            (self._folder / file).unlink()
            raise BundleError(
                f"chart {name} {version} from {chart['repository']} has SHA-256 {digest}, the "
                f"profile says {wanted}. It was removed; correct the profile or the repository."
            )
        self._present[file] = {"name": name, "version": version, "file": file, "sha256": digest,
                               "appVersion": chart.get("appVersion", version)}  # fmt: skip

    def _image(self, reference: str) -> None:
        file = f"images/{_file_name(reference)}.tar"
        held = next((e for e in self._present.values() if e.get("reference") == reference), None)
        if held is not None and self._is_there(held["file"]):
            return
        self._say(f"image {reference}")
        target = self._folder / file
        target.unlink(missing_ok=True)
        for command in save_commands(reference, target):
            run(command, f"image {reference}")
        if held is not None:
            self._present.pop(held["file"])
        self._present[file] = {"reference": reference, "file": file, "sha256": sha256(target)}


def save_commands(reference: str, target: Path) -> list[list[str]]:
    """How this machine fetches an image into an archive. BundleError when it has no way."""
    if shutil.which("skopeo"):
        return [["skopeo", "copy", f"docker://{reference}", f"docker-archive:{target}:{reference}"]]
    if docker_answers():
        return [["docker", "pull", reference], ["docker", "save", "-o", str(target), reference]]
    if shutil.which("ctr"):
        return [
            ["ctr", "images", "pull", reference],
            ["ctr", "images", "export", str(target), reference],
        ]
    raise BundleError(
        "none of skopeo, docker (with a running daemon) and ctr is here; fetching images needs one."
    )


def load(
    bundle: Bundle, into: str, say: Say, *, kind: str | None = None, name: str | None = None,
    address: str | None = None, only: Collection[str] | None = None,
) -> int:  # fmt: skip
    """Put images, all or `only` those, onto nodes; how many they were. `into` is docker, kind
    (program `kind`, cluster `name`) or containerd (of this machine, at `address`).

    What kind's nodes are made of is for Docker alone. BundleError says which image did not go in; none
    does when one of the files is not what the index says.
    """
    wanted = [image for image in bundle.images if only is None or image.reference in only]
    if into != "docker":
        wanted = [image for image in wanted if image.reference != KIND_NODE]
    if altered := [text for image in wanted if (text := bundle.wrong(image))]:
        raise BundleError(
            f"{'; '.join(altered)}. Nothing was loaded; fetch the bundle anew with atoll bundle pull, or "
            "copy it again from where it is whole (atoll bundle verify)."
        )
    for image in wanted:
        path = str(bundle.folder / image.file)
        say(f"image {image.reference}")
        if into == "docker":
            command = ["docker", "load", "--quiet", "-i", path]
        elif into == "kind":
            command = [kind or "kind", "load", "image-archive", path, "--name", name or "kind"]
        else:
            where = ["-a", address] if address else []
            command = ["ctr", *where, "-n", "k8s.io", "images", "import", path]
        run(command, f"image {image.reference}")
    return len(wanted)


def docker_answers() -> bool:
    """Whether there is a Docker program with a daemon that answers."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def run(command: Sequence[str], what: str) -> str:
    """Run a program to its end; its output. BundleError with its last words when it fails."""
    # Registries' logins are in the caller's own home; a scratch folder keeps helm's caches apart.
    with tempfile.TemporaryDirectory(prefix="atoll-bundle-") as scratch:
        env = {**os.environ, "HELM_CACHE_HOME": scratch}
        try:
            done = subprocess.run(
                list(command), capture_output=True, text=True, env=env, timeout=30 * _MINUTES,
                check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise BundleError(f"{what}: the program {command[0]} is not on this machine.") from None
        except subprocess.TimeoutExpired:
            raise BundleError(f"{what}: {command[0]} did not end within 30 minutes.") from None
    if done.returncode != 0:
        told = "\n".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise BundleError(f"{what}: {Path(command[0]).name} failed: {told}")
    return done.stdout


def _entries(folder: Path) -> dict[str, dict[str, Any]]:
    if not (folder / "index.json").exists():
        return {}
    bundle = Bundle.read(folder)
    charts = {c.file: {**vars(c), "appVersion": c.version} for c in bundle.charts}
    return charts | {image.file: dict(vars(image)) for image in bundle.images}


def _file_name(reference: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9.]+", "-", reference.split("/", 1)[-1]).strip("-")
    return f"{plain}-{hashlib.sha256(reference.encode()).hexdigest()[:8]}"
