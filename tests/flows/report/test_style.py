"""Colours can be read, by day and by night."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import flows.report.page as page_module

STYLE = (Path(page_module.__file__).parent / "style.css").read_text(encoding="utf-8")
TEXT = [
    ("ink", "paper"),
    ("ink", "sheet"),
    ("quiet", "paper"),
    ("quiet", "sheet"),
    ("accent", "sheet"),
    ("accent", "paper"),
    ("ink", "speech"),
    ("ink", "waits-back"),
    *((tone, f"{tone}-back") for tone in ("good", "fair", "poor", "waits", "none")),
]
SHAPES = [("wave", "speech"), ("mouth", "sheet"), ("angle", "frontal"), ("angle", "sheet")]


def _colours(theme: str) -> dict[str, str]:
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    blocks = light if theme == "light" else light + dark
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", blocks))


def _luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXT)
def test_text_has_the_contrast_that_wcag_asks_for(theme: str, text: str, ground: str) -> None:
    colours = _colours(theme)
    assert _contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("shape", "ground"), SHAPES)
def test_what_is_drawn_has_the_contrast_that_wcag_asks_for(
    theme: str, shape: str, ground: str
) -> None:
    colours = _colours(theme)
    assert _contrast(colours[shape], colours[ground]) >= 3
