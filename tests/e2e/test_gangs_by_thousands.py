"""Ten thousand gangs through the real Volcano over KWOK nodes, and thousands through the gang mirror.

They need a bundle and no cluster: all programs run on this machine and end with the test. How many is the
environment's to say: ATOLL_GANGS (10,000), ATOLL_MIRRORED_GANGS (3,000).
"""

import os
from pathlib import Path

import pytest
from bench.gangs.run import open_stage

from builders.mirror_load import MirrorLoad
from builders.mirror_site import open_mirror_site
from builders.volcano_site import bundle
from e2e.figures import Figures

CORES = 160
VIRTUAL_CLUSTERS = ["one", "two"]


@pytest.mark.timeout(3600)
async def test_no_gang_of_ten_thousand_is_ever_half_there_without_room(
    tmp_path: Path, figures: Figures
) -> None:
    gangs = int(os.environ.get("ATOLL_GANGS", "10000"))
    async with open_stage(bundle(), tmp_path, CORES) as stage:
        found = await stage.run(gangs)
        peaks = stage.site.programs.peaks()
    for line in found.lines():
        figures.note(f"gangs at 150 %: {line}")
    most = ", ".join(f"{name} {held}" for name, held in peaks.items() if name.startswith("vc-"))
    figures.note(f"gangs at 150 %: most memory, MiB: {most}")
    assert not found.faults, found.faults[:20]
    assert not found.left
    assert len(found.waits) == gangs


@pytest.mark.timeout(1800)
async def test_the_mirror_carries_thousands_of_gangs_and_survives_its_death(
    tmp_path: Path, redis_url: str, figures: Figures
) -> None:
    count = int(os.environ.get("ATOLL_MIRRORED_GANGS", "3000")) // len(VIRTUAL_CLUSTERS)
    async with open_mirror_site(tmp_path, redis_url, VIRTUAL_CLUSTERS) as site:
        load = MirrorLoad(site, count)
        sent = await load.send()
        figures.note(f"mirror, {len(VIRTUAL_CLUSTERS)} virtual clusters: {sent.line()}")
        load.judge()
        await load.tell_back(every=20)
        await load.take_half()
