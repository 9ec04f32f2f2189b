"""A local copy of a collection that follows its API server."""

import asyncio
from collections.abc import Callable, Mapping

import structlog
from structlog.contextvars import get_contextvars

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import Kind
from atoll.errors import AtollError, NotFoundError
from atoll_worker.malformed import MALFORMED, Complaints, of_host_object

log = structlog.get_logger()
Key = tuple[str, str]
_RETRY_SECONDS = 1.0
_NOT_SERVED_SECONDS = 2.0


class Picture:
    """Objects by namespace and name; tells of each that is there, appears, changes or goes."""

    def __init__(
        self,
        cluster: Cluster,
        kind: Kind,
        changed: Callable[[Object], None],
        *,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.items: dict[Key, Object] = {}
        self._names: dict[str, set[Key]] = {}
        self.synced = asyncio.Event()
        self._cluster, self._kind, self._changed = cluster, kind, changed
        self._namespace, self._labels = namespace, labels
        self._odd = Complaints("mirror.unreadable")

    def named(self, name: str) -> list[Object]:
        """The objects of one name, of all namespaces."""
        return [self.items[key] for key in sorted(self._names.get(name, ()))]

    def put(self, item: Object) -> None:
        """It is there, like this."""
        key = key_of(item)
        self.items[key] = item
        self._names.setdefault(key[1], set()).add(key)

    def drop(self, key: Key) -> None:
        """It is gone."""
        if self.items.pop(key, None) is None:
            return
        same = self._names[key[1]]
        same.discard(key)
        if not same:
            del self._names[key[1]]

    async def follow(self) -> None:
        """Until cancelled; what breaks is begun anew with a full list."""
        while True:
            try:
                await self._once()
            except NotFoundError:
                # Not "nothing is there": a starting API server does not serve its definitions yet.
                await asyncio.sleep(_NOT_SERVED_SECONDS)
            except AtollError as error:
                log.debug("mirror.watch", kind=self._kind.plural, detail=error.detail)
            except Exception:
                log.exception("mirror.watch_failed", kind=self._kind.plural)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _once(self) -> None:
        where = {"namespace": self._namespace, "labels": self._labels}
        found, revision = await self._cluster.items_at(self._kind, **where)  # type: ignore[arg-type]
        self._replace(found)
        async for change, item in self._cluster.watch(self._kind, since=revision, **where):  # type: ignore[arg-type]
            if change == "DELETED":
                self.drop(key_of(item))
            else:
                self.put(item)
            self._tell(item)

    def _replace(self, found: list[Object]) -> None:
        fresh = {key_of(item) for item in found}
        gone = [item for key, item in self.items.items() if key not in fresh]
        for item in gone:
            self.drop(key_of(item))
        for item in found:
            self.put(item)
        self.synced.set()
        for item in [*gone, *found]:
            self._tell(item)

    def _tell(self, item: Object) -> None:
        """Who listens may stumble over one object; the others are told all the same."""
        name = "/".join(filter(None, key_of(item)))
        try:
            self._changed(item)
        except MALFORMED as error:
            # What is bound says whose all of it is; inside, labels are the tenant's to write.
            keys = {**of_host_object(item), **get_contextvars(), "name": name}
            self._odd.tell(name, error, **keys)
        else:
            self._odd.settle(name)


def key_of(item: Object) -> Key:
    """Namespace and name."""
    meta = item["metadata"]
    return meta.get("namespace", ""), meta["name"]
