"""The palette holds WCAG 2.2 AA in both schemes: every pair of colours that the pages put together."""

import re
from pathlib import Path

import pytest

import atoll.portal

CSS = (Path(atoll.portal.__path__[0]) / "static" / "portal.css").read_text()
PAIRS = re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS)
PALETTES = {
    "light": {name: light for name, light, _ in PAIRS},
    "dark": {name: dark for name, _, dark in PAIRS},
}
TEXT = [
    *(
        (ink, ground)
        for ink in ("ink", "muted", "accent")
        for ground in ("ground", "surface", "sunken")
    ),
    *((tone, f"{tone}-soft") for tone in ("good", "busy", "warn", "bad", "accent")),
    *((tone, "surface") for tone in ("good", "busy", "warn", "bad")),
    *(("ink", fill) for fill in ("fill", "warn-fill", "bad-fill", "accent-soft", "bad-soft")),
    ("on-accent", "accent"),
]
SHAPES = [
    *(("edge", ground) for ground in ("ground", "surface", "sunken")),
    *(("focus", ground) for ground in ("ground", "surface", "sunken")),
    ("accent", "fill"),
    ("warn", "warn-fill"),
    ("bad", "bad-fill"),
]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure_itself() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", PALETTES)
@pytest.mark.parametrize(("ink", "ground"), TEXT)
def test_text_can_be_read(scheme: str, ink: str, ground: str) -> None:
    palette = PALETTES[scheme]
    assert contrast(palette[ink], palette[ground]) >= 4.5


@pytest.mark.parametrize("scheme", PALETTES)
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_shapes_can_be_told_apart(scheme: str, shape: str, ground: str) -> None:
    palette = PALETTES[scheme]
    assert contrast(palette[shape], palette[ground]) >= 3
