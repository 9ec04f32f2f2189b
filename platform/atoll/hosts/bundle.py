"""A bundle: a folder with the charts and images of profiles, for hosts without a network.

- index.json: what is in it, with the SHA-256 of every file
- charts/*.tgz: chart archives as `helm pull` gives them
- images/*.tar: image archives as `docker save` writes them
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atoll.hosts.errors import BundleError
from atoll.hosts.profiles import (
    KUBERNETES_IMAGE,
    RAY_IMAGE,
    REDIS_IMAGE,
    Derivation,
    KnownChart,
    Manifest,
)

REWRITE_IMAGE = "mirror.gcr.io/library/alpine:3.20"
"""The image with which vcluster rewrites the host names of StatefulSet pods."""
COREDNS = {"1.35": "1.14.1", "1.36": "1.14.2"}
"""The CoreDNS that vcluster starts, by the minor version of its Kubernetes."""


@dataclass(frozen=True)
class ChartFile:
    """A chart archive of the bundle; `file` is relative to the bundle's folder."""

    name: str
    version: str
    file: str
    sha256: str


@dataclass(frozen=True)
class ImageFile:
    """An image archive of the bundle."""

    reference: str
    file: str
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """A folder and what its index says is in it."""

    folder: Path
    charts: tuple[ChartFile, ...]
    images: tuple[ImageFile, ...]

    @classmethod
    def read(cls, folder: Path) -> "Bundle":
        """Read the index. BundleError when there is none or it cannot be understood."""
        path = folder / "index.json"
        try:
            index = json.loads(path.read_text())
            charts = tuple(_known(ChartFile, entry) for entry in index["charts"])
            images = tuple(_known(ImageFile, entry) for entry in index["images"])
        except FileNotFoundError:
            raise BundleError(f"{folder} is no bundle: it has no index.json.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path} is not an index of a bundle: {error!r}.") from error
        return cls(folder, charts, images)

    def problems(self, profiles: Iterable[Manifest] = ()) -> list[str]:
        """What is wrong: files that are missing or altered, and what a profile needs and lacks."""
        files: list[ChartFile | ImageFile] = [*self.charts, *self.images]
        found = [text for entry in files if (text := self.wrong(entry))]
        references = {image.reference for image in self.images}
        for profile in profiles:
            name = profile["metadata"]["name"]
            lacking = [ref for ref in needed_images(profile["spec"]) if ref not in references]
            found += [
                f"profile {name}: image {reference} is not in the bundle" for reference in lacking
            ]
        return found

    def holds(self, reference: str) -> bool:
        """Whether the index names an image."""
        return any(image.reference == reference for image in self.images)

    def wrong(self, entry: ChartFile | ImageFile) -> str | None:
        """What is wrong with a file: it is missing or altered; None when it is as the index says."""
        path = self.folder / entry.file
        if not path.is_file():
            return f"{entry.file} is missing"
        actual = sha256(path)
        if actual != entry.sha256:
            return f"{entry.file} is altered: SHA-256 {actual}, the index says {entry.sha256}"
        return None

    def profiles(self) -> list[Manifest]:
        """The profiles of what is in it: `default`, and `previous` and `yunikorn` where they can be."""
        charts = (KnownChart(c.name, c.version, f"sha256:{c.sha256}") for c in self.charts)
        references = tuple(image.reference for image in self.images)
        return Derivation(tuple(charts), references, str(self.folder)).profiles()


def needed_images(spec: Mapping[str, Any]) -> list[str]:
    """References of every image that virtual clusters of a profile's spec start."""
    return [image for images in images_by_part(spec).values() for image in images]


def images_by_part(spec: Mapping[str, Any]) -> dict[str, list[str]]:
    """The same by the part of the spec that says their version; the others are `companions`."""
    kubernetes, ray = spec["kubernetes"], spec["ray"]
    minor = ".".join(kubernetes["version"].split(".")[:2])
    names = [f"docker.io/coredns/coredns:{COREDNS[minor]}"] if minor in COREDNS else []
    return {
        "vcluster": [f"ghcr.io/loft-sh/vcluster-oss:{spec['vcluster']['chart']['version']}"],
        "kubernetes": [f"{kubernetes.get('image', KUBERNETES_IMAGE)}:v{kubernetes['version']}"],
        "kuberay": [f"quay.io/kuberay/operator:v{spec['kuberay']['chart']['version']}"],
        "scheduler": _scheduler_images(spec["scheduler"]),
        "ray": [f"{ray.get('image', RAY_IMAGE)}:{ray['version']}"],
        "redis": [spec.get("redis", {}).get("image", f"{REDIS_IMAGE}:7")],
        "companions": [REWRITE_IMAGE, *names],
    }


def _scheduler_images(part: Mapping[str, Any]) -> list[str]:
    version = part["chart"]["version"]
    if part.get("name", "volcano") == "yunikorn":
        return [f"docker.io/apache/yunikorn:scheduler-{version}", "registry.k8s.io/pause:3.10"]
    programs = ("vc-scheduler", "vc-controller-manager")
    return [f"docker.io/volcanosh/{program}:v{version}" for program in programs]


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_index(folder: Path, charts: Iterable[Manifest], images: Iterable[Manifest]) -> None:
    """Write the index of a bundle at once."""
    fresh = folder / "index.json.new"
    fresh.write_text(json.dumps({"charts": list(charts), "images": list(images)}, indent=2) + "\n")
    fresh.replace(folder / "index.json")


def _known(kind: Any, entry: Mapping[str, Any]) -> Any:
    file = Path(entry["file"])
    if file.is_absolute() or ".." in file.parts:
        raise ValueError(f"file {str(file)!r} lies outside the bundle")
    return kind(**{key: entry[key] for key in kind.__dataclass_fields__})
