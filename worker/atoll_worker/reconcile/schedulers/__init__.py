"""The gang schedulers that can be inside a virtual cluster, by the name a profile gives."""

from atoll.resources.profiles import Profile
from atoll_worker.reconcile.schedulers.adapter import SchedulerAdapter
from atoll_worker.reconcile.schedulers.volcano import Volcano
from atoll_worker.reconcile.schedulers.yunikorn import YuniKorn

_ALL: tuple[SchedulerAdapter, ...] = (Volcano(), YuniKorn())
ADAPTERS = {one.facts.name: one for one in _ALL}


def adapter_of(profile: Profile) -> SchedulerAdapter:
    """The adapter of a profile's scheduler; the profile's schema lets no other name through."""
    return ADAPTERS[profile.spec.scheduler.name]
