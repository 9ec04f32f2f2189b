"""The portal's door: one router with every page."""

from fastapi import APIRouter

from atoll.portal import (
    changes,
    quota_asks,
    quota_changes,
    quota_reverts,
    quotas,
    ray_jobs,
    sessions,
    teams,
    virtual_clusters,
)

router = APIRouter(include_in_schema=False)
_QUOTAS = (quotas, quota_changes, quota_asks, quota_reverts)
for room in (sessions, teams, *_QUOTAS, virtual_clusters, changes, ray_jobs):
    router.include_router(room.router)
