"""The steps of a virtual cluster, in order of need."""

from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.access import Access
from atoll_worker.reconcile.steps.admission import Admission
from atoll_worker.reconcile.steps.control_plane import ControlPlane
from atoll_worker.reconcile.steps.gcs_users import GcsUsers
from atoll_worker.reconcile.steps.guard_rails import GuardRails
from atoll_worker.reconcile.steps.host_queue import HostQueue
from atoll_worker.reconcile.steps.host_scheduler import HostScheduler
from atoll_worker.reconcile.steps.namespace import NamespaceStep
from atoll_worker.reconcile.steps.nodes import Nodes
from atoll_worker.reconcile.steps.operator import Operator
from atoll_worker.reconcile.steps.policies import Policies
from atoll_worker.reconcile.steps.probe import Probe
from atoll_worker.reconcile.steps.queue import Queue
from atoll_worker.reconcile.steps.quota import Quota
from atoll_worker.reconcile.steps.ray_clusters import RayClusters
from atoll_worker.reconcile.steps.redis import Redis
from atoll_worker.reconcile.steps.redis_password import RedisPassword
from atoll_worker.reconcile.steps.scheduler import Scheduler
from atoll_worker.reconcile.steps.shared_nodes import SharedNodes


def all_steps() -> list[Step]:
    """A fresh list. Needs decide what runs when; deletion goes backwards through the list, so nodes
    are given back only when the namespace with everything that ran on them is gone.
    """
    return [
        Admission(), Nodes(), SharedNodes(), HostScheduler(), HostQueue(),
        NamespaceStep(), GuardRails(), Redis(), RedisPassword(), ControlPlane(), Access(), Operator(),
        Scheduler(), Queue(), Policies(), Quota(), RayClusters(), GcsUsers(), Probe(),
    ]  # fmt: skip
