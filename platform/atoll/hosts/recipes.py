"""Where each program of the toolchain comes from: versions, release downloads, Go modules."""

from __future__ import annotations

import platform
from dataclasses import dataclass

KUBERNETES = "1.36.3"
ETCD = "3.6.14"
KWOK = "0.8.0"
HELM = "4.3.1"
KIND = "0.32.0"
KIND_NODE = "docker.io/kindest/node:v1.36.1"
KIND_NODE_DIGEST = "sha256:3489c7674813ba5d8b1a9977baea8a6e553784dab7b84759d1014dbd78f7ebd5"
"""The node image that this kind was released with, as its own defaults have it. Images of other
versions exist only where kind's makers built them."""

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Recipe:
    """How to recognise, download or build one program.

    `lowest` is included, `below` is not. `url` is the release file, `sums` the file with its
    SHA-256; `member` names the program inside an archive. `package` is its Go package in
    `module`; `staging` says that the module's staging repositories must be replaced.
    """

    name: str
    version: str
    lowest: Version
    below: Version
    url: str
    sums: str
    module: str
    package: str
    member: str = ""
    staging: bool = False
    ldflags: str = ""
    ask: tuple[str, ...] = ("--version",)
    optional: bool = False

    def accepts(self, version: Version) -> bool:
        """Whether a program of this version will do."""
        return self.lowest <= version < self.below


def _arch() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _kubernetes(name: str, ask: tuple[str, ...] = ("--version",)) -> Recipe:
    url = f"https://dl.k8s.io/release/v{KUBERNETES}/bin/linux/{_arch()}/{name}"
    major, minor, _ = KUBERNETES.split(".")
    stamp = "k8s.io/component-base/version"
    flags = (
        f"-X {stamp}.gitVersion=v{KUBERNETES} -X {stamp}.gitMajor={major} "
        f"-X {stamp}.gitMinor={minor} -X {stamp}.gitTreeState=clean"
    )
    return Recipe(
        name, KUBERNETES, (1, int(minor), 0), (1, int(minor) + 1, 0), url, f"{url}.sha256",
        "k8s.io/kubernetes", f"k8s.io/kubernetes/cmd/{name}",
        staging=True, ldflags=flags, ask=ask,
    )  # fmt: skip


def _etcd() -> Recipe:
    base = f"https://github.com/etcd-io/etcd/releases/download/v{ETCD}"
    folder = f"etcd-v{ETCD}-linux-{_arch()}"
    return Recipe(
        "etcd", ETCD, (3, 5, 0), (4, 0, 0), f"{base}/{folder}.tar.gz", f"{base}/SHA256SUMS",
        "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3", member=f"{folder}/etcd",
    )  # fmt: skip


def _kwok() -> Recipe:
    base = f"https://github.com/kubernetes-sigs/kwok/releases/download/v{KWOK}"
    url = f"{base}/kwok-linux-{_arch()}"
    return Recipe(
        "kwok", KWOK, (0, 6, 0), (1, 0, 0), url, f"{url}.sha256",
        "sigs.k8s.io/kwok", "sigs.k8s.io/kwok/cmd/kwok",
        ldflags=f"-X sigs.k8s.io/kwok/pkg/consts.Version=v{KWOK}",
    )  # fmt: skip


def _helm() -> Recipe:
    url = f"https://get.helm.sh/helm-v{HELM}-linux-{_arch()}.tar.gz"
    # Without the full version helm says "v4.3", which its Python client refuses to read.
    return Recipe(
        "helm", HELM, (4, 1, 4), (5, 0, 0), url, f"{url}.sha256sum",
        "helm.sh/helm/v4", "helm.sh/helm/v4/cmd/helm", member=f"linux-{_arch()}/helm",
        ldflags=f"-X helm.sh/helm/v4/internal/version.version=v{HELM}",
        ask=("version", "--short"),
    )  # fmt: skip


def _kind() -> Recipe:
    url = f"https://github.com/kubernetes-sigs/kind/releases/download/v{KIND}/kind-linux-{_arch()}"
    return Recipe(
        "kind", KIND, (0, 32, 0), (1, 0, 0), url, f"{url}.sha256sum",
        "sigs.k8s.io/kind", "sigs.k8s.io/kind", optional=True,
    )  # fmt: skip


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        _etcd(),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubectl", ("version", "--client")),
        _kwok(),
        _helm(),
        _kind(),
    )
}
