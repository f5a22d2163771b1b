"""What rentals cost: by host, vendor or day, until now and as it goes on. Worked out from the ledger; days are UTC's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from gpurig.budget import EVER, HOUR, periods, running, spent
from gpurig.ledger import CLOSED, Rental

By = Literal["host", "day", "provider"]

DAY = timedelta(days=1)
CENT_PART = Decimal("0.0001")
"""To how much of a dollar figures are told to programs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one host, vendor or day cost, in USD.

    spent: ever; today, month: of that since midnight, and since the month began; hourly: what is paid now in an hour.
    wasted: what of `spent` went to machines that were never accepted. rentals: how many; open: of them bill or may;
    unsure: may bill and nobody knows, by gpurig.doubts.
    """

    name: str
    spent: Decimal
    today: Decimal
    month: Decimal
    hourly: Decimal
    wasted: Decimal
    rentals: int
    open: int
    unsure: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; money as text, so that it stays exact."""
        money = {key: plain(getattr(self, key)) for key in ("spent", "today", "month", "hourly", "wasted")}
        return {"name": self.name, **money, "rentals": self.rentals, "open": self.open, "unsure": self.unsure}


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Everything there is to tell. day_end, month_end: what today and this month will have cost if all goes on as it does now.

    rentals: those that bill, or may, oldest first; doubtful: the ids here of those of which nobody knows.
    """

    now: datetime
    by: By
    lines: tuple[Line, ...]
    total: Line
    day_end: Decimal
    month_end: Decimal
    rentals: tuple[Rental, ...]
    doubtful: frozenset[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data, money in USD as text."""
        return {
            "at": self.now.isoformat(timespec="seconds"),
            "by": self.by,
            "lines": [line.to_dict() for line in self.lines],
            "total": self.total.to_dict(),
            "projected": {"day": plain(self.day_end), "month": plain(self.month_end)},
            "open": [_open(rental, self) for rental in self.rentals],
        }


def of(rentals: Sequence[Rental], by: By, now: datetime, doubtful: frozenset[str] = frozenset()) -> Costs:
    """What these rentals cost, the dearest host or vendor first, or day by day. doubtful: see Costs."""
    midnight, month = _midnight(now), _midnight(now).replace(day=1)
    total = _line("total", rentals, now, doubtful)
    if by == "day":
        running_now = [(now.astimezone(UTC).date(), rental, Decimal(0)) for rental in rentals if rental.open]
        by_day: dict[date, list[tuple[Rental, Decimal]]] = {}
        for day, rental, cost in [*slices(rentals, now), *running_now]:
            by_day.setdefault(day, []).append((rental, cost))
        lines = [_of_day(day, by_day[day], now, doubtful) for day in sorted(by_day)]
    else:
        names = {name_of(rental, by): None for rental in rentals}
        groups = [_line(name, [r for r in rentals if name_of(r, by) == name], now, doubtful) for name in names]
        lines = sorted((line for line in groups if line.rentals), key=lambda line: (-line.spent, line.name))
    to_midnight = Decimal((midnight + DAY - now) / HOUR)
    to_next_month = Decimal(((month + 32 * DAY).replace(day=1) - now) / HOUR)
    return Costs(
        now=now,
        by=by,
        lines=tuple(lines),
        total=total,
        day_end=total.today + total.hourly * to_midnight,
        month_end=total.month + total.hourly * to_next_month,
        rentals=tuple(rental for rental in rentals if rental.open),
        doubtful=doubtful,
    )


def slices(rentals: Iterable[Rental], now: datetime) -> Iterator[tuple[date, Rental, Decimal]]:
    """What each rental cost on each day on which it cost something."""
    for rental in rentals:
        for period in periods(rental, now):
            start = _midnight(period.start)
            while start < period.end:
                cost = period.cost(start, start + DAY)
                if cost:
                    yield start.date(), rental, cost
                start += DAY


def name_of(rental: Rental, by: By) -> str:
    """The group that a rental belongs to, of hosts or vendors."""
    return rental.provider if by == "provider" else f"{rental.project}/{rental.stack}/{rental.host}"


def wasted(rental: Rental) -> bool:
    """Whether it ended, or is being ended, without ever having been accepted as what was paid for."""
    kinds = [kind for _, kind in rental.times]
    over = rental.state == "ending" or rental.state in CLOSED
    return over and not {"accepted", "adopted"} & set(kinds)


def hourly(rental: Rental, now: datetime) -> Decimal:
    """What an open rental costs now in an hour: less while it is stopped."""
    return periods(rental, now)[-1].price


def plain(money: Decimal) -> str:
    """An amount of USD as text for programs."""
    return f"{money.quantize(CENT_PART):f}"


def _line(name: str, rentals: Sequence[Rental], now: datetime, doubtful: frozenset[str]) -> Line:
    """The sum over rentals; those of which nothing was ever made are not counted."""
    real = [rental for rental in rentals if periods(rental, now)]
    return Line(
        name=name,
        spent=spent(real, EVER, now),
        today=spent(real, _midnight(now), now),
        month=spent(real, _midnight(now).replace(day=1), now),
        hourly=running(real),
        wasted=spent([rental for rental in real if wasted(rental)], EVER, now),
        rentals=len(real),
        open=sum(rental.open for rental in real),
        unsure=sum(rental.id in doubtful for rental in real),
    )


def _of_day(day: date, parts: Sequence[tuple[Rental, Decimal]], now: datetime, doubtful: frozenset[str]) -> Line:
    """What one day cost; what is open counts only today."""
    cost = _sum(parts)
    today = now.astimezone(UTC).date()
    on_it = list({rental.id: rental for rental, _ in parts}.values())
    open_now = [rental for rental in on_it if rental.open and day == today]
    return Line(
        name=day.isoformat(),
        spent=cost,
        today=cost if day == today else Decimal(0),
        month=cost if (day.year, day.month) == (today.year, today.month) else Decimal(0),
        hourly=running(open_now),
        wasted=_sum([(rental, part) for rental, part in parts if wasted(rental)]),
        rentals=len(on_it),
        open=len(open_now),
        unsure=sum(rental.id in doubtful for rental in open_now),
    )


def _sum(parts: Iterable[tuple[Rental, Decimal]]) -> Decimal:
    return sum((part for _, part in parts), Decimal(0))


def _open(rental: Rental, costs: Costs) -> dict[str, Any]:
    return {
        "provider": rental.provider,
        "label": rental.label,
        "machine": rental.machine,
        "state": rental.state,
        "unsure": rental.id in costs.doubtful,
        "hourly": plain(hourly(rental, costs.now)),
        "since": rental.since.isoformat(timespec="seconds"),
    }


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
