"""The portal's door: one router with every page."""

from fastapi import APIRouter

from atoll.portal import changes, quota_changes, quotas, ray_jobs, sessions, teams, virtual_clusters

router = APIRouter(include_in_schema=False)
for room in (sessions, teams, quotas, quota_changes, virtual_clusters, changes, ray_jobs):
    router.include_router(room.router)
