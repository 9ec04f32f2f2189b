"""Shared mode: the host's own gang scheduler, one for all shared virtual clusters."""

from dataclasses import dataclass

from atoll.cluster.client import InitializingError, Object
from atoll.cluster.kinds import DEPLOYMENT, QUEUE
from atoll.domain.names import HOST_SCHEDULER_NAMESPACE
from atoll.errors import NotFoundError
from atoll_worker.reconcile.outcome import (
    Change,
    Done,
    Failed,
    Install,
    InstallForAll,
    Outcome,
    Wait,
)
from atoll_worker.reconcile.ports import Release
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.release import not_ready

RELEASE, LEASE = "volcano", "host-scheduler"
_LABEL = {"app": "volcano-scheduler"}
"""What Volcano's chart puts on its scheduler's Deployment."""


@dataclass(frozen=True)
class Seen:
    """The host's scheduler (anybody's), our release of it, are queues served, may we install."""

    scheduler: Object | None
    release: Release | None
    served: bool
    may_install: bool


class HostScheduler(Step):
    """Found, or installed once for all. Never upgraded and never removed with a virtual cluster."""

    name, title, condition = (
        "host-scheduler",
        "Find the host's gang scheduler",
        "HostSchedulerReady",
    )
    needs = ("Admitted",)

    def applies(self, scope: Scope) -> bool:
        return scope.vc.spec.mode == "shared"

    async def observe(self, scope: Scope) -> Seen:
        found = await scope.host.items(DEPLOYMENT, labels=_LABEL)
        found.sort(key=lambda d: d["metadata"]["creationTimestamp"])
        scheduler = found[0] if found else None
        place = HOST_SCHEDULER_NAMESPACE
        release = await scope.releases.find(scope.host, RELEASE, place) if not scheduler else None
        return Seen(
            scheduler, release, await _queues_served(scope), scheduler is None and await _may(scope)
        )

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        if seen.scheduler is not None or not seen.may_install or (seen.served and not seen.release):
            return []
        chart, values = (
            scope.versions.spec.scheduler.chart,
            adapter_of(scope.versions).values(scope.versions),
        )
        install = Install(RELEASE, HOST_SCHEDULER_NAMESPACE, chart, values)
        return [InstallForAll(install, LEASE)]

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if seen.scheduler is None:
            return self._absent(scope, seen)
        waiting = not_ready(seen.scheduler, "The host's Volcano scheduler")
        if waiting:
            return waiting
        if not seen.served:
            return Wait("WaitingForScheduler", "The host does not serve Volcano's queues yet")
        return Done(_words(seen.scheduler, scope.versions.spec.scheduler.chart.version))

    def _absent(self, scope: Scope, seen: Seen) -> Outcome:
        if seen.may_install and not (seen.served and not seen.release):
            return Wait("Installing", "Volcano is being installed on the host")
        version = scope.versions.spec.scheduler.chart.version
        why = (
            "The host serves Volcano's resources, but no Deployment labelled app=volcano-scheduler runs."
            if seen.served
            else "The host has no Volcano, and this worker may not install one."
        )
        return Failed(
            "HostSchedulerMissing",
            f"{why} Shared virtual clusters are scheduled by it: install Volcano's chart, version "
            f"{version}, in namespace {HOST_SCHEDULER_NAMESPACE}.",
            permanent=True,
            who="admin",
        )


def _words(scheduler: Object, wanted: str) -> str:
    image = str(scheduler["spec"]["template"]["spec"]["containers"][0]["image"])
    there = image.rpartition(":")[2].removeprefix("v")
    where = scheduler["metadata"]["namespace"]
    if there == wanted:
        return f"Volcano {there} in namespace {where} of the host"
    return f"Volcano {there} in namespace {where} of the host is used as it is; the profile names {wanted}"


async def _queues_served(scope: Scope) -> bool:
    try:
        await scope.host.items(QUEUE)
    except (NotFoundError, InitializingError):
        return False
    return True


async def _may(scope: Scope) -> bool:
    """Whether we may make the definitions that Volcano's chart brings; production workers may not."""
    asked = {"group": "apiextensions.k8s.io", "resource": "customresourcedefinitions"}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {**asked, "verb": "create"}},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = (await scope.host.request("POST", path, body=review)).json()
    return bool(answer["status"]["allowed"])
