# ruff: noqa: T201 - a bench prints
"""Zero partial gangs: the real Volcano over KWOK nodes, asked for 150 % of what its queue may hold.

Usage: python -m bench.gangs [--gangs 10000] [--cores 160] [--demand 1.5] [--bundle FOLDER]
SIGTERM ends the asking and shows what was seen until then.
Exit code 0 when every gang ran whole, and none was ever half there without room for the rest.
"""

import argparse
import asyncio
import math
import signal
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from bench.gangs.load import Figures
from bench.gangs.run import open_stage
from bench.gangs.volcano import SCHEDULER, NoVolcanoError, image_of


def main() -> int:
    """Run it and print the figures."""
    options = _options()
    try:
        image_of(options.bundle, SCHEDULER)
    except NoVolcanoError as error:
        print(f"skipped: {error}")
        return 2
    with tempfile.TemporaryDirectory(prefix="atoll-gangs-") as folder:
        figures = uvloop.run(_run(Path(folder), options))
    for line in [*figures.lines(), *figures.faults[:20], *figures.left[:20]]:
        print(line)
    return 0 if figures.good else 1


async def _run(folder: Path, options: argparse.Namespace) -> Figures:
    began = time.monotonic()

    def tell(done: int) -> None:
        if done % 500 == 0:
            print(f"{done} after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    async with open_stage(options.bundle, folder, options.cores) as stage:
        print(f"ready after {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stage.stop)
        figures = await stage.run(
            options.gangs, demand=options.demand, seconds=options.seconds, tell=tell
        )
        used, peaks = stage.site.programs.seconds(), stage.site.programs.peaks()
    print(f"{'the load and its judge':<24} {time.process_time():8.1f} s of CPU")
    for name, seconds in used.items():
        print(f"{name:<24} {seconds:8.1f} s of CPU, at most {peaks[name]} MiB")
    return figures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gangs", type=int, default=10_000)
    parser.add_argument("--cores", type=int, default=160, help="what the queue may hold")
    parser.add_argument("--demand", type=float, default=1.5, help="asked for, as a share of it")
    parser.add_argument("--seconds", type=float, default=math.inf,
                        help="ask for no more gangs after so many")  # fmt: skip
    bundle = Path.home() / ".cache" / "atoll" / "bundle"
    parser.add_argument("--bundle", type=Path, default=bundle)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
