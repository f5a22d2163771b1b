"""How a host's figures changed from verification to verification, as plots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from gpurig.history import Figure, Run, number
from gpurig.plot import Tick, step
from gpurig.verdict import Verdict

WIDTH, HEIGHT = 360, 96
"""Size of a plot's inside, in its own units."""

POINTS, DOTS = 60, 12
"""Points of one plot, and those of them that are drawn as dots, at most."""

ALL_POINTS, ALL_DOTS, PLOTS = 2400, 600, 64
"""The most points, dots and plots on a page: about 150 kB."""

LINES = 3
"""Steps between the lowest and the highest value, at most."""

SPAN = 0.1
"""The least that a plot shows from bottom to top, as part of the value: so that noise does not look like mountains."""


class Point(NamedTuple):
    """A figure of a machine, by its label, at a moment."""

    label: str
    at: datetime
    value: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Dot:
    """A point that is drawn as such. verdict: where it is no PASS, else empty."""

    x: float
    y: float
    verdict: str
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """The figures of one machine, as SVG's list of points. earlier: a machine that is gone."""

    points: str
    earlier: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure's history. now: the last value with its unit; words: what the plot shows, for those who cannot see it."""

    name: str
    now: str
    words: str
    lines: tuple[Line, ...]
    dots: tuple[Dot, ...]
    ticks: tuple[Tick, ...]
    labels: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True, slots=True)
class History:
    """What a page shows of it. count: of runs; left_out: names of figures for which there is no room."""

    charts: tuple[Chart, ...]
    count: int
    left_out: tuple[str, ...]


def charts(runs: Sequence[Run]) -> History:
    """A plot for each figure that at least two runs have, in the order of the last run that has it."""
    names = dict.fromkeys(name for run in reversed(runs) for name in run.figures)
    found = [(name, unit, points) for name in names for unit, points in [_points(name, runs)] if len(points) > 1]
    count = max(1, min(PLOTS, len(found)))
    room = (min(POINTS, ALL_POINTS // count), min(DOTS, ALL_DOTS // count))
    return History(
        charts=tuple(_chart(name, unit, points, room) for name, unit, points in found[:PLOTS]),
        count=len(runs),
        left_out=tuple(name for name, _, _ in found[PLOTS:]),
    )


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most so many of the points: of each stretch the lowest and the highest, so that no dip is lost, and the last."""
    if len(points) <= most:
        return list(points)
    *earlier, last = points
    stretches = max(1, (most - 1) // 2)
    kept = list[Point]()
    for stretch in range(stretches):
        part = earlier[stretch * len(earlier) // stretches : (stretch + 1) * len(earlier) // stretches]
        kept += sorted({min(part, key=_value), max(part, key=_value)}, key=part.index)
    return [*kept, last]


def _value(point: Point) -> float:
    return point.value


def _points(name: str, runs: Sequence[Run]) -> tuple[str, list[Point]]:
    """A figure's unit and points. What was once measured in another unit cannot be compared and is left out."""
    unit = next(run.figures[name].unit for run in reversed(runs) if name in run.figures)
    return unit, [
        Point(run.label, datetime.fromisoformat(run.started).astimezone(UTC), figure.value, run.checks[name])
        for run in runs
        if (figure := run.figures.get(name)) and figure.unit == unit
    ]


def _chart(name: str, unit: str, points: Sequence[Point], room: tuple[int, int]) -> Chart:
    """room: the most points and dots."""
    values = [point.value for point in points]
    low, high = min(values), max(values)
    margin = max(0.0, SPAN * max(abs(low), abs(high), 1e-9) - (high - low)) / 2
    between = step(high - low + 2 * margin, most=LINES)
    bottom = math.floor((low - margin) / between) * between
    steps = math.ceil((high + margin - bottom) / between - 1e-9)
    first, last = min(point.at for point in points), max(point.at for point in points)
    long = max(1.0, (last - first).total_seconds())

    def place(point: Point) -> tuple[float, float]:
        x = (point.at - first).total_seconds() / long * WIDTH
        return round(x, 1), round(HEIGHT - (point.value - bottom) / (steps * between) * HEIGHT, 1)

    days = "%d %b %Y" if first.date() != last.date() else "%d %b %H:%M"
    drawn = thinned(points, room[0])
    now = points[-1]
    earlier = sum(point.label != now.label for point in points)
    machines = [(label, list(of_one)) for label, of_one in groupby(drawn, key=lambda point: point.label)]
    return Chart(
        name=name,
        now=str(Figure(now.value, unit)),
        words=f"{number(low)} to {Figure(high, unit)} in {len(points)} runs, from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
        + (f"; the first {earlier} on an earlier machine" if earlier else ""),
        lines=tuple(
            Line(" ".join(f"{x:g},{y:g}" for x, y in map(place, of_one)), label != now.label)
            for label, of_one in machines
            if len(of_one) > 1
        ),
        dots=tuple(
            Dot(*place(point), "" if point.verdict == "PASS" else point.verdict, _words(point, unit))
            for point in _dotted(drawn, room[1])
        ),
        ticks=tuple(
            Tick(HEIGHT - HEIGHT * line / steps, number(round(bottom + line * between, 9))) for line in range(steps + 1)
        ),
        labels=(Tick(0, f"{first:{days}}"), Tick(WIDTH, f"{last:{days}}")),
    )


def _dotted(points: Sequence[Point], most: int) -> list[Point]:
    """What is drawn as a dot: the last point, those that are no PASS, the later ones first, and where there is room, all."""
    if len(points) <= most:
        return list(points)
    bad = [point for point in points[:-1] if point.verdict != "PASS"]
    return [*bad[max(0, len(bad) - most + 1) :], points[-1]]


def _words(point: Point, unit: str) -> str:
    verdict = "" if point.verdict == "PASS" else f", {point.verdict}"
    return f"{point.at:%Y-%m-%d %H:%M} UTC: {Figure(point.value, unit)}{verdict}"
