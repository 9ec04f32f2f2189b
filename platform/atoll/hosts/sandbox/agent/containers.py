"""What a pod's manifest gives its containers: environment, files, commands."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

from atoll.hosts.sandbox.agent.kubelet import RunningPod
from atoll.hosts.sandbox.kube import CONFIG_MAP, SECRET, Obj
from atoll.hosts.sandbox.kubeconfig import write_private

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)")
_LABEL = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class MissingReferenceError(Exception):
    """A Secret, ConfigMap or key that the pod needs is not there."""


async def environment(pod: RunningPod, container: Obj) -> dict[str, str]:
    """The container's environment with every reference resolved."""
    found: dict[str, str] = {}
    for source in container.get("envFrom") or []:
        prefix = source.get("prefix", "")
        for kind in ("secretRef", "configMapRef"):
            if kind in source:
                data = await _data(pod, kind, source[kind]["name"], source[kind].get("optional"))
                found |= {prefix + key: value.decode() for key, value in data.items()}
    for variable in container.get("env") or []:
        if "valueFrom" in variable:
            value = await _value(pod, container, variable["valueFrom"])
        else:
            value = expand(variable.get("value") or "", found)
        if value is not None:
            found[variable["name"]] = value
    return found


def expand(text: str, env: dict[str, str]) -> str:
    """Replace $(NAME) as Kubernetes does; unknown names stay."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return env.get(match[1], match[0])

    return _REFERENCE.sub(replace, text)


def command(container: Obj, env: dict[str, str]) -> list[str]:
    """Command and arguments of a container, expanded."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    return [expand(word, env) for word in words]


async def _value(pod: RunningPod, container: Obj, source: Obj) -> str | None:
    for kind in ("secretKeyRef", "configMapKeyRef"):
        if kind in source:
            reference = source[kind]
            data = await _data(pod, kind, reference["name"], reference.get("optional"))
            if reference["key"] in data:
                return data[reference["key"]].decode()
            if reference.get("optional"):
                return None
            raise MissingReferenceError(f"no key {reference['key']} in {reference['name']}")
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        section, _, name = source["resourceFieldRef"]["resource"].partition(".")
        amount = (container.get("resources") or {}).get(section) or {}
        return str(amount.get(name, "0"))
    return None


def _field(pod: RunningPod, path: str) -> str:
    meta, spec = pod.manifest["metadata"], pod.manifest["spec"]
    match = _LABEL.fullmatch(path)
    if match is not None:
        return str((meta.get(match[1]) or {}).get(match[2], ""))
    fields = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.uid,
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": "127.0.0.1",
        "status.hostIP": "127.0.0.1",
    }
    return str(fields.get(path, ""))


async def _data(
    pod: RunningPod, kind: str, name: str, optional: bool | None = False
) -> dict[str, bytes]:
    secret = kind.startswith("secret")
    resource = SECRET if secret else CONFIG_MAP
    found = await pod.world.host.kube.get(resource, pod.host_namespace, name)
    if found is None:
        if optional:
            return {}
        raise MissingReferenceError(f"{resource.kind} {name} does not exist")
    data = found.get("data") or {}
    if secret:
        return {key: base64.b64decode(value) for key, value in data.items()}
    binary = found.get("binaryData") or {}
    return {key: str(value).encode() for key, value in data.items()} | {
        key: base64.b64decode(value) for key, value in binary.items()
    }


async def mounts(pod: RunningPod, container: Obj) -> dict[str, Path]:
    """Mount path to local folder, for every volume of the container; files are written anew."""
    volumes = {volume["name"]: volume for volume in pod.manifest["spec"].get("volumes") or []}
    found: dict[str, Path] = {}
    for mount in container.get("volumeMounts") or []:
        folder = await _volume(pod, volumes[mount["name"]])
        found[mount["mountPath"].rstrip("/")] = folder / mount.get("subPath", "")
    return found


def pod_folder(pod: RunningPod) -> Path:
    """The folder of a pod's own volumes; it goes with the pod."""
    return pod.world.root / "volumes" / f"pod-{pod.uid}"


def remove_pod_folder(pod: RunningPod) -> None:
    """Remove the volumes that live no longer than the pod."""
    shutil.rmtree(pod_folder(pod), ignore_errors=True)


async def _volume(pod: RunningPod, volume: Obj) -> Path:
    if "persistentVolumeClaim" in volume:
        name = volume["persistentVolumeClaim"]["claimName"]
        claim = pod.world.claims.get(pod.host_namespace, name)
        if claim is None:
            raise MissingReferenceError(f"PersistentVolumeClaim {name} does not exist")
        folder = pod.world.root / "volumes" / str(claim["metadata"]["uid"])
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    folder = pod_folder(pod) / str(volume["name"])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    files: dict[str, bytes] = {}
    if "secret" in volume:
        source = volume["secret"]
        files = await _data(pod, "secret", source["secretName"], source.get("optional"))
    elif "configMap" in volume:
        source = volume["configMap"]
        files = await _data(pod, "configMap", source["name"], source.get("optional"))
    else:
        source = {}
    renamed = {item["key"]: item["path"] for item in source.get("items") or []}
    for key, content in files.items():
        if not renamed or key in renamed:
            write_private(folder / renamed.get(key, key), content.decode(errors="replace"))
    return folder


def localized(text: str, folders: dict[str, Path]) -> str:
    """Replace mount paths by local folders wherever they stand as paths in a text."""
    for mount in sorted(folders, key=len, reverse=True):
        pattern = rf"(?<![\w./-]){re.escape(mount)}(?=[/\s\"';:,]|$)"
        text = re.sub(pattern, str(folders[mount]).replace("\\", r"\\"), text)
    return text
