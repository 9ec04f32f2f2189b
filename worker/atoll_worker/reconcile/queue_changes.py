"""What makes a queue say what it must and no more; pure, for every scheduler and both places."""

from atoll.cluster.client import Object
from atoll.cluster.drift import says
from atoll.cluster.kinds import kind_of
from atoll.domain.queue_shares import leftovers
from atoll_worker.reconcile.outcome import Change, Patch, Put


def queue_changes(found: Object | None, wanted: Object, *, inside: bool = False) -> list[Change]:
    """None when the queue as found says `wanted`, and nothing of a share beside it.

    An amount that is wanted no more is taken off by name: whoever else wrote it would keep it in a
    server-side apply, and `says` looks only for what is wanted.
    """
    changes: list[Change] = [] if says(found, wanted) else [Put(wanted, inside=inside)]
    spec = (found or {}).get("spec") or {}
    if extra := leftovers(spec, wanted.get("spec") or {}):
        meta, kind = wanted["metadata"], kind_of(wanted)
        place = meta.get("namespace")
        changes.append(Patch(kind, meta["name"], {"spec": extra}, place, inside=inside))
    return changes
