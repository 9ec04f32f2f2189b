"""The only door to Kubernetes: plain dictionaries in and out, our errors, over lightkube."""

import ssl
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx2
from lightkube import AsyncClient
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.types import CascadeType, PatchType

from atoll.addresses import is_loopback
from atoll.cluster.kinds import Kind, kind_of
from atoll.domain.names import FIELD_MANAGER
from atoll.errors import (
    AtollError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    StaleWriteError,
    UnavailableError,
)

Object = dict[str, Any]
_TIMEOUT = httpx2.Timeout(10.0, connect=3.0)
_WATCH_SECONDS = 240
"""The server ends each watch after this long and lightkube goes on from where it was."""


class InitializingError(UnavailableError):
    """The kind's definition was made a moment ago; the API server will serve it soon."""


_SOON_SERVED = (
    "storage is (re)initializing",
    # Of a mutating admission policy that does not know the kind's schema yet, at an apply.
    "There can be a delay between when CustomResourceDefinitions are created",
)
"""What Kubernetes says, with 429 or 503, of a kind whose definition was made a moment ago."""


@cache
def _resource(kind: Kind) -> Any:
    make = create_namespaced_resource if kind.namespaced else create_global_resource
    return make(kind.group, kind.version, kind.kind, kind.plural)


def _plain(found: Any) -> Object:
    out: Object = found.to_dict() if hasattr(found, "to_dict") else dict(found)
    return out


_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


def _collection(kind: Kind, namespace: str | None) -> str:
    """The path of all objects of a kind, of a namespace where the kind has one."""
    root = f"apis/{kind.group}/{kind.version}" if kind.group else f"api/{kind.version}"
    place = f"/namespaces/{namespace}" if kind.namespaced else ""
    return f"{root}{place}/{kind.plural}"


def translate(error: Exception, what: str) -> AtollError:
    """Our error for what Kubernetes or the way to it answered about `what`."""
    if isinstance(error, httpx2.HTTPStatusError) and error.response.status_code == 404:
        return NotFoundError(f"{what}: the API server does not serve this kind")
    if not isinstance(error, ApiError):
        cause = ": ".join(filter(None, (type(error).__name__, str(error))))
        return UnavailableError(f"{what}: the Kubernetes API did not answer ({cause})")
    status = error.status
    text = f"{what}: {status.message}"
    code, reason = status.code or 500, status.reason
    if code == 404:
        return NotFoundError(text)
    if any(words in text for words in _SOON_SERVED):
        return InitializingError(text)
    if code == 409:
        return (
            ConflictError(text, code="exists")
            if reason == "AlreadyExists"
            else StaleWriteError(text)
        )
    if code == 403:
        return ForbiddenError(text, who="admin")
    if code in (400, 422):
        return InvalidError(text)
    return UnavailableError(text)


def translate_answer(answer: httpx2.Response, what: str) -> AtollError:
    """Our error for a refusal that came over somebody else's connection; `answer` has been read.

    Raises ValueError, KeyError or TypeError when the body is no Status of Kubernetes.
    """
    return translate(ApiError(request=answer.request, response=answer), what)


class Cluster:
    """A connection to one API server. Use as an async context manager; one event loop each.

    Every method raises one of our errors: NotFoundError, ConflictError (code "exists"),
    StaleWriteError, ForbiddenError, InvalidError, UnavailableError.
    """

    def __init__(self, config: KubeConfig | None = None, *, http2: bool = False) -> None:
        single = config.get() if config else None
        self._client = AsyncClient(
            single,
            timeout=_TIMEOUT,
            field_manager=FIELD_MANAGER,
            lazy=True,
            http2=http2,
            trust_env=not (single and is_loopback(single.cluster.server)),
        )
        # lightkube lets a watch wait for ever; a link that died without a word must be noticed.
        self._client._client._watch_timeout.read = _WATCH_SECONDS + 20

    @classmethod
    def from_file(cls, path: Path | None) -> Self:
        """From a kubeconfig file, or in-cluster / KUBECONFIG when None."""
        return cls(KubeConfig.from_file(path) if path else None)

    @classmethod
    def from_dict(cls, config: Mapping[str, Any]) -> Self:
        """From a parsed kubeconfig."""
        return cls(KubeConfig.from_dict(dict(config)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def _call(self, what: str, method: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return await getattr(self._client, method)(*args, **kwargs)
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise translate(error, what) from error

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Object:
        """One object."""
        where = {"namespace": namespace} if kind.namespaced else {}
        return _plain(
            await self._call(f"{kind.kind} {name}", "get", _resource(kind), name, **where)
        )

    async def find(self, kind: Kind, name: str, namespace: str | None = None) -> Object | None:
        """One object, or None. A kind the server does not serve counts as none."""
        try:
            return await self.get(kind, name, namespace)
        except NotFoundError:
            return None

    async def items(
        self, kind: Kind, namespace: str | None = None, labels: Mapping[str, Any] | None = None
    ) -> list[Object]:
        """All objects of a kind; `namespace` "*" or None means everywhere."""
        return (await self.items_at(kind, namespace, labels))[0]

    async def items_at(
        self, kind: Kind, namespace: str | None = None, labels: Mapping[str, Any] | None = None
    ) -> tuple[list[Object], str]:
        """All objects of a kind and the resourceVersion of the collection, to watch from."""
        where = {"namespace": namespace or "*"} if kind.namespaced else {}
        client: Any = self._client
        listing = client.list(_resource(kind), labels=dict(labels or {}) or None, **where)
        try:
            typed = {"apiVersion": kind.api_version, "kind": kind.kind}  # lists leave these out
            found = [typed | _plain(item) async for item in listing]
            return found, listing.resourceVersion
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise translate(error, f"list of {kind.plural}") from error

    async def metadata(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        """Only the metadata of the objects of a kind with these labels, for those that are large."""
        wanted = quote(",".join(f"{key}={value}" for key, value in labels.items()))
        path = f"{_collection(kind, namespace)}?labelSelector={wanted}"
        answer = await self.request("GET", path, accept=_METADATA_ONLY)
        return [item["metadata"] for item in answer.json()["items"] or ()]

    async def watch(
        self,
        kind: Kind,
        since: str | None = None,
        namespace: str | None = None,
        labels: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[tuple[str, Object]]:
        """Changes after `since` as ("ADDED" | "MODIFIED" | "DELETED", object), until the link breaks.

        Raises UnavailableError when it breaks, StaleWriteError (code "expired") when `since` is too old.
        """
        where = {"namespace": namespace or "*"} if kind.namespaced else {}
        client: Any = self._client
        try:
            async for change, item in client.watch(
                _resource(kind), resource_version=since, labels=dict(labels or {}) or None,
                server_timeout=_WATCH_SECONDS, **where,
            ):  # fmt: skip
                yield change, _plain(item)
        except ApiError as error:
            if error.status.code == 410:
                raise StaleWriteError(
                    f"watch of {kind.plural} is too old", code="expired"
                ) from error
            raise translate(error, f"watch of {kind.plural}") from error
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise translate(error, f"watch of {kind.plural}") from error

    async def create(self, manifest: Object, *, dry_run: bool = False) -> Object:
        """A new object; ConflictError with code "exists" when the name is taken.

        With `dry_run` the server does all it does at a creation, admission too, and keeps nothing.
        """
        kind = kind_of(manifest)
        where = {"namespace": manifest["metadata"]["namespace"]} if kind.namespaced else {}
        what = f"{kind.kind} {manifest['metadata'].get('name')}"
        item = _resource(kind).from_dict(manifest)
        item["metadata"] = dict(manifest["metadata"])
        dry = {"dry_run": True} if dry_run else {}
        return _plain(await self._call(what, "create", item, **where, **dry))

    async def replace(self, manifest: Object, *, status: bool = False) -> Object:
        """Compare and set by metadata.resourceVersion; StaleWriteError when somebody wrote first."""
        kind = kind_of(manifest)
        resource = _resource(kind).Status if status else _resource(kind)
        where = {"namespace": manifest["metadata"]["namespace"]} if kind.namespaced else {}
        name = manifest["metadata"]["name"]
        if status:
            where["name"] = name
        item = resource.from_dict(manifest)
        return _plain(await self._call(f"{kind.kind} {name}", "replace", item, **where))

    async def apply(self, manifest: Object, *, force: bool = True, status: bool = False) -> Object:
        """Server-side apply with our field manager."""
        kind = kind_of(manifest)
        name = manifest["metadata"]["name"]
        resource = _resource(kind).Status if status else _resource(kind)
        where = {"namespace": manifest["metadata"]["namespace"]} if kind.namespaced else {}
        return _plain(
            await self._call(
                f"{kind.kind} {name}", "patch", resource, name, manifest,
                patch_type=PatchType.APPLY, force=force, **where,
            )
        )  # fmt: skip

    async def apply_document(self, kind: Kind, name: str, document: bytes) -> None:
        """Server-side apply of a YAML document of a cluster-wide kind as it is.

        For documents so large that reading and writing them anew would take seconds of a core.
        """
        client: httpx2.AsyncClient = self._client._client._client
        try:
            answer = await client.patch(
                f"apis/{kind.group}/{kind.version}/{kind.plural}/{name}",
                params={"fieldManager": FIELD_MANAGER, "force": "true"},
                content=document,
                headers={"Content-Type": "application/apply-patch+yaml"},
            )
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise translate(error, f"{kind.kind} {name}") from error
        if answer.is_error:
            raise translate_answer(answer, f"{kind.kind} {name}")

    async def patch(
        self,
        kind: Kind,
        name: str,
        change: Object,
        namespace: str | None = None,
        *,
        status: bool = False,
    ) -> Object:
        """JSON merge patch; a None value removes a key."""
        where = {"namespace": namespace} if kind.namespaced else {}
        resource = _resource(kind).Status if status else _resource(kind)
        return _plain(
            await self._call(
                f"{kind.kind} {name}", "patch", resource, name, change,
                patch_type=PatchType.MERGE, **where,
            )
        )  # fmt: skip

    async def delete(
        self, kind: Kind, name: str, namespace: str | None = None, *, orphan: bool = False
    ) -> bool:
        """Ask for deletion; False when it was gone already."""
        where = {"namespace": namespace} if kind.namespaced else {}
        cascade = CascadeType.ORPHAN if orphan else CascadeType.BACKGROUND
        try:
            await self._call(
                f"{kind.kind} {name}", "delete", _resource(kind), name, cascade=cascade, **where
            )
        except NotFoundError:
            return False
        return True

    async def delete_at(
        self, kind: Kind, name: str, revision: str, namespace: str | None = None
    ) -> None:
        """Ask for deletion of an object exactly as it was read at `revision`.

        Raises NotFoundError, and StaleWriteError when somebody wrote in between.
        """
        client: httpx2.AsyncClient = self._client._client._client
        body = {"propagationPolicy": "Background", "preconditions": {"resourceVersion": revision}}
        try:
            answer = await client.request(
                "DELETE", f"{_collection(kind, namespace)}/{name}", json=body
            )
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise translate(error, f"{kind.kind} {name}") from error
        if answer.status_code == 404:
            raise NotFoundError(f"{kind.kind} {name}: not found")
        if answer.status_code == 409:
            raise StaleWriteError(f"{kind.kind} {name}: somebody else changed it first")
        if answer.is_error:
            raise UnavailableError(f"{kind.kind} {name}: {answer.status_code} on deletion")

    async def evict(self, pod: str, namespace: str) -> bool:
        """Ask a pod to go by the Eviction API; False when a PodDisruptionBudget does not let it now.

        A pod that is gone already counts as asked.
        """
        client: httpx2.AsyncClient = self._client._client._client
        what = f"Eviction of {pod}"
        meta = {"name": pod, "namespace": namespace}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
        path = f"api/v1/namespaces/{namespace}/pods/{pod}/eviction"
        try:
            answer = await client.post(path, json=body)
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise translate(error, what) from error
        if answer.status_code == 429:
            return False
        if answer.is_error and answer.status_code != 404:
            raise translate_answer(answer, what)
        return True

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        accept: str = "application/json",
    ) -> httpx2.Response:
        """A plain request, for sub-resources and proxies; raises as every other method does."""
        client: httpx2.AsyncClient = self._client._client._client
        try:
            answer = await client.request(
                method, path.lstrip("/"), json=body, headers={"Accept": accept}
            )
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise translate(error, path) from error
        if answer.status_code == 404:
            raise NotFoundError(f"{path}: not found")
        if answer.is_error:
            raise UnavailableError(f"{path}: {answer.status_code} {answer.text[:300]}")
        return answer
