"""All use cases of one process together: what the API's routers and the portal's pages call."""

from dataclasses import dataclass

from atoll.application.events import VirtualClusterFeed
from atoll.application.operations import Operations
from atoll.application.profile_keeper import ProfileKeeper
from atoll.application.profiles import Profiles
from atoll.application.quota_changes import QuotaChanges
from atoll.application.quota_grants import QuotaGrants
from atoll.application.quota_history import QuotaHistory
from atoll.application.quota_keeper import QuotaKeeper
from atoll.application.quota_requests import QuotaRequests
from atoll.application.quotas import Quotas
from atoll.application.stock import Stock
from atoll.application.teams import Teams
from atoll.application.virtual_clusters import VirtualClusters
from atoll.cluster.client import Cluster
from atoll.dispatch import Dispatch
from atoll.settings import Settings


@dataclass(frozen=True)
class UseCases:
    """One instance per process; `app.state.use_cases` in web applications."""

    teams: Teams
    quotas: Quotas
    quota_requests: QuotaRequests
    quota_keeper: QuotaKeeper
    profiles: Profiles
    profile_keeper: ProfileKeeper
    virtual_clusters: VirtualClusters
    operations: Operations
    feed: VirtualClusterFeed
    dispatch: Dispatch
    cluster: Cluster

    @classmethod
    def over(cls, settings: Settings, cluster: Cluster, dispatch: Dispatch) -> "UseCases":
        """Over this cluster and queue. The feed and the keepers still have to be run."""
        feed = VirtualClusterFeed(cluster)
        history = QuotaHistory(cluster)
        changes = QuotaChanges(cluster, history)
        grants = QuotaGrants(cluster, changes)
        stock = Stock(settings.charts)
        return cls(
            teams=Teams(cluster, changes),
            quotas=Quotas(cluster, changes, history),
            quota_requests=QuotaRequests(cluster, changes, grants),
            quota_keeper=QuotaKeeper(cluster, history, grants),
            profiles=Profiles(cluster, stock),
            profile_keeper=ProfileKeeper(cluster, stock),
            virtual_clusters=VirtualClusters(
                cluster, dispatch, feed, node_label=settings.node_label
            ),
            operations=Operations(cluster, feed),
            feed=feed,
            dispatch=dispatch,
            cluster=cluster,
        )
