"""Ray clusters of a virtual cluster: made, listed and deleted as RayCluster resources inside."""

import re
from contextlib import AsyncExitStack
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from atoll.application.idempotency import LABEL, Idempotency, one_at_a_time
from atoll.application.pages import piece
from atoll.application.revisions import Expected, check_revision
from atoll.application.validation import refuse_if_any, stored
from atoll.cluster import kinds
from atoll.contract.base import Page
from atoll.contract.ray import RayClusterCreate, RayClusterRead
from atoll.domain.names import RAY_NAMESPACE, name_problem
from atoll.domain.ray_clusters import ray_cluster_manifest, ray_image
from atoll.errors import ConflictError, FieldProblem, NotFoundError, StaleWriteError
from atoll.gateway.callers import AskedVirtualCluster, ReadingRay, WritingRay
from atoll.gateway.forward import LONG_SECONDS, ORDINARY_SECONDS, Target, forward
from atoll.gateway.headers import response_headers
from atoll.gateway.idempotency import earlier_ray_cluster, use_of
from atoll.gateway.parts import Parts, parts_of
from atoll.gateway.queries import Ask, DryRun, IdempotencyKey, IfMatch, LogQuery, Namespace
from atoll.gateway.ray_sizes import refuse_larger_than_any_node, with_sizes
from atoll.gateway.ray_states import ray_cluster_read
from atoll.gateway.tenants import UNKNOWN_KIND, Object, bearer, kubernetes_error
from atoll.resources.faults import pointer
from atoll.resources.meta import is_of_same_object, revision_of
from atoll.resources.profiles import Profile

_ALL = "/v1/virtual-clusters/{vc}/ray-clusters"
_ONE = _ALL + "/{name}"
_API = "/apis/ray.io/v1"
_TRIES = 10
_OBJECT_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\Z")
router = APIRouter(tags=["ray-clusters"])


@router.get(_ALL)
async def list_ray_clusters(asked: ReadingRay, request: Request, ask: Ask) -> Page[RayClusterRead]:
    """All Ray clusters of all namespaces inside, by name."""
    return piece(await ray_clusters(parts_of(request), asked), ask)


@router.post(_ALL, status_code=201)
async def create_ray_cluster(
    *,
    asked: WritingRay,
    wanted: RayClusterCreate,
    request: Request,
    response: Response,
    dry_run: DryRun = None,
    key: IdempotencyKey = None,
) -> RayClusterRead:
    """A Ray cluster of the profile's version, in the team's queue. It lives until it is deleted."""
    problem = name_problem(wanted.name)
    refuse_if_any([FieldProblem(pointer("name"), problem)] if problem else [])
    parts, use = parts_of(request), use_of(key, asked, wanted)
    async with one_at_a_time(use):
        made = await _earlier(parts, asked, use)
        if made is None:
            _refuse_kept(asked, wanted.name, "choose another name or change the spec")
            await refuse_larger_than_any_node(parts, asked, wanted)
            made = await _create(parts, asked, wanted, use, dry_run=dry_run is not None)
    response.headers["location"] = _ONE.format(vc=asked.name, name=wanted.name)
    _tag(response, made)
    return ray_cluster_read(made, asked.name, asked.kept_ray_clusters)


async def _create(
    parts: Parts, asked: AskedVirtualCluster, wanted: RayClusterCreate, use: Idempotency | None,
    *, dry_run: bool,
) -> Object:  # fmt: skip
    manifest = await _manifest(parts, asked, wanted)
    if use:
        use.mark(manifest)
    try:
        return await _call(
            parts,
            asked,
            "POST",
            f"{_API}/namespaces/{RAY_NAMESPACE}/rayclusters",
            body=manifest,
            params={"fieldManager": "atoll", "fieldValidation": "Strict"}
            | ({"dryRun": "All"} if dry_run else {}),
            what=f"Ray cluster {wanted.name!r}",
        )
    except ConflictError:
        # Another process of ours may have served the same request a moment before.
        if made := await _earlier(parts, asked, use):
            return made
        raise


async def _earlier(
    parts: Parts, asked: AskedVirtualCluster, use: Idempotency | None
) -> Object | None:
    if use is None:
        return None
    path = f"{_API}/namespaces/{RAY_NAMESPACE}/rayclusters"
    labels = {"labelSelector": f"{LABEL}={use.label}"}
    found = await _call(parts, asked, "GET", path, params=labels, what="Ray clusters")
    return earlier_ray_cluster(use, found["items"])


@router.get(_ONE)
async def get_ray_cluster(
    asked: ReadingRay,
    name: str,
    request: Request,
    response: Response,
    namespace: Namespace = RAY_NAMESPACE,
) -> RayClusterRead:
    """One Ray cluster."""
    parts = parts_of(request)
    found = await find_ray_cluster(parts, asked, name, namespace)
    _tag(response, found)
    read = ray_cluster_read(found, asked.name, asked.kept_ray_clusters)
    (told,) = await with_sizes(parts, asked, [read], [found])
    return told


@router.delete(_ONE, status_code=202)
async def delete_ray_cluster(
    asked: WritingRay,
    name: str,
    request: Request,
    expected: IfMatch,
    namespace: Namespace = RAY_NAMESPACE,
) -> RayClusterRead:
    """Ask for its deletion; KubeRay stops its pods and cleans its keys in Redis first."""
    if namespace == RAY_NAMESPACE:
        _refuse_kept(asked, name, "take it out of the spec instead")
    found = await _delete(parts_of(request), asked, name, namespace, expected)
    read = ray_cluster_read(found, asked.name, asked.kept_ray_clusters)
    return read.model_copy(update={"state": "deleting", "message": ""})


async def _delete(
    parts: Parts, asked: AskedVirtualCluster, name: str, namespace: str, expected: Expected
) -> Object:
    """What was there. PreconditionError when it is none of the expected revisions; asking again for the
    same deletion is none, although the deletion itself moved the revision.
    """
    what = f"Ray cluster {name!r}"
    for attempt in range(_TRIES):
        found = await find_ray_cluster(parts, asked, name, namespace)
        if _is_going(found, expected):
            return found
        check_revision(found, expected, what)
        body: Object = {"propagationPolicy": "Background"}
        if expected is not None:
            meta = found["metadata"]
            body["preconditions"] = {key: meta[key] for key in ("uid", "resourceVersion")}
        try:
            await _call(parts, asked, "DELETE", _path(name, namespace), body=body, what=what)
        except StaleWriteError:  # KubeRay's status moves it too: see what it is now
            if attempt == _TRIES - 1:
                raise
            continue
        break
    return found


def _is_going(found: Object, expected: Expected) -> bool:
    """Whether the very object that a revision names is on its way out: Kubernetes counts its deletion as
    one more generation.
    """
    meta = found["metadata"]
    return bool(meta.get("deletionTimestamp")) and any(
        is_of_same_object(revision, meta) for revision in expected or ()
    )


def _tag(response: Response, found: Object) -> None:
    """Put its ETag on the answer; what a dry run makes may have none."""
    if revision := revision_of(found["metadata"]):
        response.headers["etag"] = f'"{revision}"'


@router.get(_ONE + "/logs", response_class=Response)
async def ray_cluster_logs(
    asked: ReadingRay, name: str, request: Request, wanted: Annotated[LogQuery, Query()]
) -> Response:
    """The log of the head or of one pod of the Ray cluster, as text."""
    parts, namespace = parts_of(request), wanted.namespace
    await find_ray_cluster(parts, asked, name, namespace)
    found = await _pod(parts, asked, name, namespace, wanted.pod)
    query: dict[str, Any] = {"container": found["spec"]["containers"][0]["name"]}
    query |= {"follow": "true"} if wanted.follow else {}
    query |= {"tailLines": wanted.tail} if wanted.tail is not None else {}
    path = f"/api/v1/namespaces/{namespace}/pods/{found['metadata']['name']}/log"
    async with AsyncExitStack() as undo:
        access, client = await undo.enter_async_context(parts.tenants.connection(asked.name))
        what = f"Log of {found['metadata']['name']}"
        target = Target(
            url=f"{access.server}{path}?{urlencode(query)}",
            headers=[(k.encode(), v.encode()) for k, v in bearer(access).items()],
            what=what,
            seconds=LONG_SECONDS if wanted.follow else ORDINARY_SECONDS,
            answer_headers=response_headers,
            explain=lambda answer: kubernetes_error(answer, what),
        )
        return await forward(request, client, target, undo.pop_all())


async def ray_clusters(parts: Parts, asked: AskedVirtualCluster) -> list[RayClusterRead]:
    """Every Ray cluster of the virtual cluster."""
    found = await _call(parts, asked, "GET", f"{_API}/rayclusters", what="Ray clusters")
    kept = asked.kept_ray_clusters
    reads = [ray_cluster_read(item, asked.name, kept) for item in found["items"]]
    return await with_sizes(parts, asked, reads, found["items"])


async def find_ray_cluster(
    parts: Parts, asked: AskedVirtualCluster, name: str, namespace: str
) -> Object:
    """The RayCluster resource; NotFoundError when there is none."""
    missing = NotFoundError(
        f"There is no Ray cluster {name[:60]!r} in namespace {namespace!r} of virtual cluster "
        f"{asked.name!r}."
    )
    if not _OBJECT_NAME.match(name):
        raise missing
    try:
        return await parts.tenants.call(asked.name, "GET", _path(name, namespace))
    except NotFoundError:
        raise missing from None


async def _call(
    parts: Parts, asked: AskedVirtualCluster, method: str, path: str, **more: Any
) -> Object:
    try:
        return await parts.tenants.call(asked.name, method, path, **more)
    except NotFoundError as error:
        if UNKNOWN_KIND not in error.detail:
            raise
        step = asked.cluster.condition("OperatorReady")
        raise ConflictError(
            f"Ray is not ready in virtual cluster {asked.name!r} yet: step OperatorReady: "
            f"{step.message or step.reason}.",
            code="not_ready",
            who="nobody",
        ) from None


async def _manifest(parts: Parts, asked: AskedVirtualCluster, wanted: RayClusterCreate) -> Object:
    spec = asked.cluster.spec
    profile = stored(Profile, await parts.host.get(kinds.PROFILE, spec.profile)).spec
    return ray_cluster_manifest(
        wanted,
        team=spec.team,
        virtual_cluster=asked.name,
        scheduler=profile.scheduler.name,
        ray_version=profile.ray.version,
        image=ray_image(profile.ray.image, profile.ray.version, profile.registry),
        redis_address=profile.redis.ray_address,
    )


async def _pod(
    parts: Parts, asked: AskedVirtualCluster, cluster: str, namespace: str, pod: str
) -> Object:
    """The head pod, or a pod by name when it is one of this Ray cluster."""
    head = ",ray.io/node-type=head" if pod == "head" else ""
    found = await parts.tenants.call(
        asked.name,
        "GET",
        f"/api/v1/namespaces/{namespace}/pods",
        params={"labelSelector": f"ray.io/cluster={cluster}{head}"},
        what=f"Pods of Ray cluster {cluster!r}",
    )
    names = [item["metadata"]["name"] for item in found["items"]]
    for item in found["items"]:
        if pod in ("head", item["metadata"]["name"]):
            pod_object: Object = item
            return pod_object
    others = f" It has: {', '.join(names)}." if names else " It has no pods yet."
    raise NotFoundError(f"Ray cluster {cluster!r} has no pod {pod[:60]!r}.{others}")


def _refuse_kept(asked: AskedVirtualCluster, name: str, way_out: str) -> None:
    if name in asked.kept_ray_clusters:
        raise ConflictError(
            f"Ray cluster {name!r} is kept by spec.rayClusters of virtual cluster {asked.name!r}; "
            f"{way_out}.",
            code="kept_by_spec",
        )


def _path(name: str, namespace: str) -> str:
    return f"{_API}/namespaces/{namespace}/rayclusters/{name}"
