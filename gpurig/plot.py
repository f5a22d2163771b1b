"""Geometry that plots of HTML pages share; templates/plot.html.j2 draws it."""

from __future__ import annotations

import math
from typing import NamedTuple


class Tick(NamedTuple):
    """A mark on an axis: how far along, and its text."""

    at: float
    text: str


def step(span: float, *, most: int = 5) -> float:
    """A round number between two lines across a span, so that there are at most so many steps."""
    if not span > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / most))
    return next((power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor * most >= span), power * 20)
