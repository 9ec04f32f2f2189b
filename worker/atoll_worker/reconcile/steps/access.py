"""What everybody needs inside the virtual cluster: namespaces, roles, a gateway token."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from atoll.cluster.client import Object
from atoll.cluster.drift import says
from atoll.cluster.kinds import SECRET, SERVICE_ACCOUNT, kind_of
from atoll.domain import names
from atoll_worker.reconcile.inside import access_manifests
from atoll_worker.reconcile.outcome import Change, Done, Mint, Outcome, Put, Remove, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step

TOKEN_SECONDS = 3600
RENEW_BEFORE = timedelta(seconds=TOKEN_SECONDS / 2)


@dataclass(frozen=True)
class Seen:
    """Is the syncer at work, what is missing inside, until when is the gateway's token good."""

    reachable: bool
    missing: tuple[Object, ...]
    token_until: datetime | None


class Access(Step):
    """Also the first proof that the virtual cluster's API can be used."""

    name, title, condition = "access", "Open the door", "AccessReady"
    needs = ("ControlPlaneReady",)

    async def observe(self, scope: Scope) -> Seen:
        inside = await scope.inside()
        account = await inside.find(SERVICE_ACCOUNT, "default", "default")
        missing = []
        for manifest in access_manifests(scope.labels(self.name)):
            meta = manifest["metadata"]
            found = await inside.find(kind_of(manifest), meta["name"], meta.get("namespace"))
            if not says(found, manifest):
                missing.append(manifest)
        return Seen(account is not None, tuple(missing), await self._token_until(scope))

    async def _token_until(self, scope: Scope) -> datetime | None:
        secret = await scope.host.find(
            SECRET, names.access_secret(scope.vc.name), scope.settings.access_namespace
        )
        if (
            secret is None
            or secret["metadata"]["labels"].get("atoll.dev/uid") != scope.vc.metadata.uid
        ):
            return None
        text = secret["metadata"]["annotations"].get("atoll.dev/expires-at", "")
        return datetime.fromisoformat(text) if text else None

    def _stale(self, seen: Seen) -> bool:
        return seen.token_until is None or seen.token_until - datetime.now(UTC) < RENEW_BEFORE

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        changes: list[Change] = [Put(manifest, inside=True) for manifest in seen.missing]
        if self._stale(seen):
            secret = names.access_secret(scope.vc.name)
            changes.append(Mint("atoll-gateway", names.SYSTEM_NAMESPACE, secret, TOKEN_SECONDS))
        return changes

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if not seen.reachable:
            return Wait("SyncerStarting", "The default ServiceAccount is not there yet")
        if seen.missing or self._stale(seen):
            return Wait("Writing", "Roles and tokens are being written")
        return Done("Roles for owner, member and viewer are there; the gateway may come in")

    async def remains(self, scope: Scope) -> Object | None:
        return await scope.host.find(
            SECRET, names.access_secret(scope.vc.name), scope.settings.access_namespace
        )

    def remove_plan(self, scope: Scope, left: Object | None) -> list[Change]:
        name = names.access_secret(scope.vc.name)
        return [Remove(SECRET, name, scope.settings.access_namespace)] if left else []

    def removed(self, scope: Scope, left: Object | None) -> Outcome:
        return Wait("Closing", "The gateway's token is still there") if left else Done("Closed")
