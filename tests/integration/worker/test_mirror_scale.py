"""The gang mirror with more than a handful of gangs, killed in the middle; thousands: tests/e2e."""

from pathlib import Path

from builders.mirror_load import MirrorLoad
from builders.mirror_site import open_mirror_site


async def test_a_killed_mirror_loses_no_gang_and_makes_none_twice(
    tmp_path: Path, redis_url: str
) -> None:
    async with open_mirror_site(tmp_path, redis_url, ["one"]) as site:
        load = MirrorLoad(site, 120)
        print(f"\n  {(await load.send()).line()}")
        load.judge()
        await load.tell_back()
        await load.take_half()
