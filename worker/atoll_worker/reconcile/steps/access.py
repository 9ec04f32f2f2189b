"""What everybody needs inside the virtual cluster: namespaces, roles, a gateway token."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from atoll.cluster.client import Object
from atoll.cluster.drift import says
from atoll.cluster.kinds import CLUSTER_ROLE_BINDING, SECRET, SERVICE_ACCOUNT, kind_of
from atoll.domain import names
from atoll_worker.reconcile.inside import FORMER_BINDING, access_manifests, mirror_manifests
from atoll_worker.reconcile.outcome import Change, Done, Mint, Outcome, Put, Remove, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step

TOKEN_SECONDS = 3600
RENEW_BEFORE = timedelta(seconds=TOKEN_SECONDS / 2)


@dataclass(frozen=True)
class Seen:
    """Is the syncer at work, what is missing inside, which tokens are to be minted anew, and is there
    what an older version gave to members.
    """

    reachable: bool
    missing: tuple[Object, ...]
    stale: tuple[Mint, ...]
    former: bool = False


class Access(Step):
    """Also the first proof that the virtual cluster's API can be used."""

    name, title, condition = "access", "Open the door", "AccessReady"
    needs = ("ControlPlaneReady",)

    async def observe(self, scope: Scope) -> Seen:
        inside = await scope.inside()
        account = await inside.find(SERVICE_ACCOUNT, "default", "default")
        missing = []
        manifests = access_manifests(scope.labels(self.name))
        if scope.vc.spec.mode == "shared":
            manifests += mirror_manifests(scope.labels(self.name))
        for manifest in manifests:
            meta = manifest["metadata"]
            found = await inside.find(kind_of(manifest), meta["name"], meta.get("namespace"))
            if not says(found, manifest):
                missing.append(manifest)
        stale = [mint for mint in self._tokens(scope) if await self._is_stale(scope, mint)]
        former = await inside.find(CLUSTER_ROLE_BINDING, FORMER_BINDING)
        return Seen(account is not None, tuple(missing), tuple(stale), former is not None)

    def _tokens(self, scope: Scope) -> list[Mint]:
        """The gateway's, and in shared mode that of the gang mirror."""
        name, settings = scope.vc.name, scope.settings
        inside, secret = names.SYSTEM_NAMESPACE, names.access_secret(name)
        made = [
            Mint(
                "atoll-gateway", inside, settings.access_namespace, secret, TOKEN_SECONDS, self.name
            )
        ]
        if scope.vc.spec.mode == "shared":
            place, secret, step = (
                settings.mirror_namespace,
                names.mirror_secret(name),
                names.MIRROR_STEP,
            )
            made.append(Mint("atoll-mirror", inside, place, secret, TOKEN_SECONDS, step))
        return made

    async def _is_stale(self, scope: Scope, mint: Mint) -> bool:
        secret = await scope.host.find(SECRET, mint.secret, mint.place)
        if (
            secret is None
            or secret["metadata"]["labels"].get("atoll.dev/uid") != scope.vc.metadata.uid
        ):
            return True
        text = secret["metadata"]["annotations"].get("atoll.dev/expires-at", "")
        return not text or datetime.fromisoformat(text) - datetime.now(UTC) < RENEW_BEFORE

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        made: list[Change] = [Put(manifest, inside=True) for manifest in seen.missing]
        if seen.former:
            made.append(Remove(CLUSTER_ROLE_BINDING, FORMER_BINDING, inside=True))
        return [*made, *seen.stale]

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if not seen.reachable:
            return Wait("SyncerStarting", "The default ServiceAccount is not there yet")
        if seen.missing or seen.stale or seen.former:
            return Wait("Writing", "Roles and tokens are being written")
        return Done("Roles for owner, member and viewer are there; the gateway may come in")

    async def remains(self, scope: Scope) -> list[Mint]:
        return [
            mint
            for mint in self._tokens(scope)
            if await scope.host.find(SECRET, mint.secret, mint.place)
        ]

    def remove_plan(self, scope: Scope, left: list[Mint]) -> list[Change]:
        return [Remove(SECRET, mint.secret, mint.place) for mint in left]

    def removed(self, scope: Scope, left: list[Mint]) -> Outcome:
        return Wait("Closing", "The gateway's token is still there") if left else Done("Closed")
