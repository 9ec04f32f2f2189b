"""The host namespace that holds everything of the virtual cluster, and its Redis password."""

import base64
import secrets
from dataclasses import dataclass
from typing import Any

from atoll.cluster.client import Object
from atoll.cluster.drift import says
from atoll.cluster.kinds import NAMESPACE, NODE, PRIORITY_CLASS, SECRET
from atoll.domain import names
from atoll.domain.names import LABEL_VIRTUAL_CLUSTER
from atoll_worker.reconcile.outcome import Change, Done, Failed, Outcome, Put, Remove, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step


@dataclass(frozen=True)
class Seen:
    """The namespace, whether the password is there, and what the host's policy judges its pods by."""

    namespace: Object | None
    password: bool = False
    nodes: tuple[str, ...] = ()
    priorities: tuple[str, ...] = ()


class NamespaceStep(Step):
    """The namespace is the unit of deletion."""

    name, title, condition = "namespace", "Make the namespace", "NamespaceReady"
    needs = ("Admitted",)
    after = ("NodesReady",)

    async def observe(self, scope: Scope) -> Seen:
        namespace = await scope.host.find(NAMESPACE, scope.namespace)
        password = namespace is not None and await scope.host.find(SECRET, "redis", scope.namespace)
        owned = await scope.host.items(NODE, labels={LABEL_VIRTUAL_CLUSTER: scope.vc.name})
        # Pods that name no class get the host's default one, where it has one.
        classes = await scope.host.items(PRIORITY_CLASS)
        return Seen(
            namespace,
            bool(password),
            tuple(sorted(node["metadata"]["name"] for node in owned)),
            tuple(sorted(c["metadata"]["name"] for c in classes if c.get("globalDefault"))),
        )

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
        manifest = self._manifest(scope, seen)
        if not says(seen.namespace, manifest):
            changes.append(Put(manifest))
        if not seen.password and not scope.external:
            changes.append(Put(self._password(scope)))
        return changes

    def _manifest(self, scope: Scope, seen: Seen) -> Object:
        labels = {
            **scope.labels(self.name),
            names.LABEL_MODE: scope.vc.spec.mode,
            "atoll.dev/uid": scope.vc.metadata.uid,
            "pod-security.kubernetes.io/enforce": "baseline",
        }
        notes = {
            names.ANNOTATION_NODES: ",".join(seen.nodes),
            names.ANNOTATION_PRIORITIES: ",".join(seen.priorities),
        }
        meta = {"name": scope.namespace, "labels": labels, "annotations": notes}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}

    def _password(self, scope: Scope) -> Object:
        value = base64.b64encode(secrets.token_urlsafe(32).encode()).decode()
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "redis", "namespace": scope.namespace, "labels": scope.labels(self.name),
                "annotations": {
                    names.ANNOTATION_PASSWORD: str(scope.vc.spec.redis_password_version),
                },
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
        lacking = not seen.password and not scope.external
        if lacking or not says(seen.namespace, self._manifest(scope, seen)):
            return Wait("Making", "The namespace is not there yet, or not as it must be")
        return Done(scope.namespace)

    def facts(self, scope: Scope, seen: Seen) -> dict[str, Any]:
        return {"namespace": scope.namespace} if seen.namespace else {}

    async def remains(self, scope: Scope) -> Object | None:
        found = await scope.host.find(NAMESPACE, scope.namespace)
        ours = found and self._owner(Seen(found)) == scope.vc.metadata.uid
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
