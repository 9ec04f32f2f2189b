"""The host namespace that holds everything of the virtual cluster, and its Redis password."""

import base64
import secrets
from dataclasses import dataclass
from typing import Any

from atoll.cluster.client import Object
from atoll.cluster.kinds import NAMESPACE, SECRET
from atoll.domain import names
from atoll_worker.reconcile.outcome import Change, Done, Failed, Outcome, Put, Remove, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step


@dataclass(frozen=True)
class Seen:
    """The namespace and whether the password is there."""

    namespace: Object | None
    password: bool


class NamespaceStep(Step):
    """The namespace is the unit of deletion."""

    name, title, condition = "namespace", "Make the namespace", "NamespaceReady"
    needs = ("Admitted",)

    async def observe(self, scope: Scope) -> Seen:
        namespace = await scope.host.find(NAMESPACE, scope.namespace)
        password = namespace is not None and await scope.host.find(SECRET, "redis", scope.namespace)
        return Seen(namespace, bool(password))

    def _owner(self, seen: Seen) -> str | None:
        labels = (seen.namespace or {}).get("metadata", {}).get("labels", {})
        owner: str | None = labels.get("atoll.dev/uid")
        return owner

    def _terminating(self, seen: Seen) -> bool:
        return bool(seen.namespace and seen.namespace["metadata"].get("deletionTimestamp"))

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        changes: list[Change] = []
        if seen.namespace and (
            self._owner(seen) != scope.vc.metadata.uid or self._terminating(seen)
        ):
            return changes
        if not seen.namespace:
            changes.append(Put(self._manifest(scope)))
        if not seen.password:
            changes.append(Put(self._password(scope)))
        return changes

    def _manifest(self, scope: Scope) -> Object:
        labels = {
            **scope.labels(self.name),
            "atoll.dev/uid": scope.vc.metadata.uid,
            "pod-security.kubernetes.io/enforce": "baseline",
        }
        meta = {"name": scope.namespace, "labels": labels}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}

    def _password(self, scope: Scope) -> Object:
        value = base64.b64encode(secrets.token_urlsafe(32).encode()).decode()
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "redis", "namespace": scope.namespace, "labels": scope.labels(self.name),
            },
            "type": "Opaque",
            "data": {"password": value},
        }  # fmt: skip

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if seen.namespace and self._owner(seen) != scope.vc.metadata.uid:
            return Failed(
                "NamespaceTaken",
                f"The host already has a namespace {scope.namespace} that is not ours. Remove it or "
                "choose another name.",
                permanent=True,
                who="admin",
            )
        if self._terminating(seen):
            return Wait(
                "NamespaceTerminating", f"{scope.namespace} of an earlier life is still going"
            )
        if seen.namespace and seen.password:
            return Done(scope.namespace)
        return Wait("Making", "The namespace is not there yet")

    def facts(self, scope: Scope, seen: Seen) -> dict[str, Any]:
        return {"namespace": scope.namespace} if seen.namespace else {}

    async def remains(self, scope: Scope) -> Object | None:
        found = await scope.host.find(NAMESPACE, scope.namespace)
        ours = found and self._owner(Seen(found, False)) == scope.vc.metadata.uid
        return found if ours else None

    def remove_plan(self, scope: Scope, left: Object | None) -> list[Change]:
        if left is None or left["metadata"].get("deletionTimestamp"):
            return []
        return [Remove(NAMESPACE, names.host_namespace(scope.vc.name))]

    def removed(self, scope: Scope, left: Object | None) -> Outcome:
        if left is None:
            return Done("The namespace is gone")
        conditions = left.get("status", {}).get("conditions", [])
        words = "; ".join(c["message"] for c in conditions if c["status"] == "True")
        return Wait("NamespaceTerminating", words or "Kubernetes is removing what is in it")
