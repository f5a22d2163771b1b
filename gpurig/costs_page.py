"""What rentals cost as one HTML page with a plot, and without any other file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from decimal import Decimal

from gpurig import page
from gpurig.costs import By, Costs, hourly, name_of, slices
from gpurig.ledger import Rental
from gpurig.plot import Tick, step

WIDTH, HEIGHT = 860, 260
"""Size of the plot's inside, in its own units."""

DAYS, LEAST_DAYS = 60, 7
"""Days that are plotted, up to today: the most and the least."""

COLOURS = 7
"""Hosts or vendors with a colour of their own, the dearest ones; the others share one more."""

OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of a day's column. series: number of its host or vendor; words: what is said about it."""

    x: float
    y: float
    width: float
    height: float
    series: int
    words: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Spending by day, one column each, in parts. names: of the series. ticks: height and text of each line across;
    labels: place and text under some columns."""

    bars: tuple[Bar, ...]
    names: tuple[str, ...]
    ticks: tuple[Tick, ...]
    labels: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT


def html(costs: Costs, rentals: Sequence[Rental], *, title: str) -> str:
    """The page."""
    now = [(rental, hourly(rental, costs.now)) for rental in costs.rentals]
    return page.render("costs.html.j2", title=title, costs=costs, plot=plot(costs, rentals), now=now)


def plot(costs: Costs, rentals: Sequence[Rental]) -> Plot:
    """The geometry of the last days' spending."""
    by: By = "provider" if costs.by == "provider" else "host"
    parts: dict[tuple[date, str], Decimal] = {}
    for day, rental, cost in slices(rentals, costs.now):
        key = (day, name_of(rental, by))
        parts[key] = parts.get(key, Decimal(0)) + cost
    today = costs.now.astimezone(UTC).date()
    first = min((day for day, _ in parts), default=today)
    count = min(DAYS, max(LEAST_DAYS, (today - first).days + 1))
    days = [today - timedelta(days=back) for back in reversed(range(count))]
    parts = {key: cost for key, cost in parts.items() if key[0] in set(days)}
    names = _series(parts)
    highest = max((sum(c for (d, _), c in parts.items() if d == day) for day in days), default=Decimal(0))
    between = step(float(highest))
    top = between * max(1, math.ceil(float(highest) / between))
    column = WIDTH / count
    return Plot(
        bars=tuple(
            bar for place, day in enumerate(days) for bar in _column(parts, day, names, place * column, column, top)
        ),
        names=names,
        ticks=tuple(
            Tick(HEIGHT - HEIGHT * number * between / top, f"${number * between:g}")
            for number in range(round(top / between) + 1)
        ),
        labels=tuple(
            Tick((place + 0.5) * column, f"{day:%d %b}")
            for place, day in enumerate(days)
            if (count - 1 - place) % math.ceil(count / 10) == 0
        ),
    )


def _column(
    parts: dict[tuple[date, str], Decimal], day: date, names: Sequence[str], x: float, width: float, top: float
) -> list[Bar]:
    """The parts of one day, from the ground up."""
    bars, ground = list[Bar](), float(HEIGHT)
    sums = dict.fromkeys(names, Decimal(0))
    for (on, name), cost in parts.items():
        if on == day:
            sums[name if name in sums else OTHERS] += cost
    for number, (name, cost) in enumerate(sums.items()):
        if cost:
            height = HEIGHT * float(cost) / top
            ground -= height
            words = f"{day:%Y-%m-%d}, {name}: ${cost:.2f}"
            bars.append(Bar(x + width * 0.15, ground, width * 0.7, height, number, words))
    return bars


def _series(parts: dict[tuple[date, str], Decimal]) -> tuple[str, ...]:
    """The dearest hosts or vendors, and where there are more, one for all others."""
    sums: dict[str, Decimal] = {}
    for (_, name), cost in parts.items():
        sums[name] = sums.get(name, Decimal(0)) + cost
    dearest = sorted(sums, key=lambda name: (-sums[name], name))
    return tuple(dearest) if len(dearest) <= COLOURS + 1 else (*dearest[:COLOURS], OTHERS)
