"""What a stack may spend, checked before anything is rented; and what was spent, from the ledger."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gpurig import clock
from gpurig.errors import ConfigError
from gpurig.ledger import CLOSED, Kind, Ledger, Rental
from gpurig.rental import Money
from gpurig.stack import Stack, write_private

HOUR = timedelta(hours=1)
EVER = datetime.min.replace(tzinfo=UTC)
MICROSECONDS_AN_HOUR = HOUR // timedelta(microseconds=1)


class Budget(BaseModel):
    """`gpurig:budget`: what a stack may spend, in USD. Days are UTC's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    total: Money | None = Field(
        default=None, description="The most that all rentals of this stack may ever cost, in USD."
    )
    day: Money | None = Field(
        default=None, description="The most that they may cost from midnight to midnight (UTC), in USD."
    )


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of a rental at one price, in USD per hour."""

    start: datetime
    end: datetime
    price: Decimal

    def cost(self, since: datetime, until: datetime) -> Decimal:
        """What of it falls between two moments, in USD."""
        long = max(timedelta(0), min(self.end, until) - max(self.start, since))
        return Decimal(long // timedelta(microseconds=1)) * self.price / MICROSECONDS_AN_HOUR


def periods(rental: Rental, now: datetime) -> list[Period]:
    """A rental's stretches: at its full price from its call on, at its stopped price while stopped, until its end or now.

    A rental that is not known to exist counts as if it did, because it may. Vendors that bill only from the machine's
    start cost a little less than this.
    """
    if rental.state in ("refused", "absent"):
        return []
    found: list[Period] = []
    start, price = rental.since, rental.price
    for at, kind in rental.times[1:]:
        following = _price_after(rental, kind, price)
        if following != price or kind in CLOSED:
            found.append(Period(start, at, price))
            start, price = at, following
        if kind in CLOSED:
            return found
    return [*found, Period(start, max(now, start), price)]


def spent(rentals: Iterable[Rental], since: datetime, until: datetime) -> Decimal:
    """What rentals cost between two moments, in USD."""
    return sum((p.cost(since, until) for r in rentals for p in periods(r, until)), Decimal(0))


def running(rentals: Iterable[Rental]) -> Decimal:
    """What is paid now, in USD per hour."""
    now = clock.now()
    return sum((periods(rental, now)[-1].price for rental in rentals if rental.open), Decimal(0))


def remember(stack: Stack, budget: Budget | None) -> None:
    """Let every process of this stack know its budget, also the provider's process of Pulumi's engine."""
    if budget is None:
        _file(stack).unlink(missing_ok=True)
    else:
        write_private(_file(stack), budget.model_dump_json())


def check(stack: Stack, price: Decimal) -> None:
    """Raise ConfigError where another machine at this price, in USD per hour, does not fit into the remembered budget."""
    if _file(stack).exists():
        fits(stack, price, Budget.model_validate(json.loads(_file(stack).read_text(encoding="utf-8"))))


def fits(stack: Stack, price: Decimal, budget: Budget, *, ending: Collection[str] = ()) -> None:
    """Raise ConfigError where machines at this price together, in USD per hour, do not fit into a stack's budget.

    The total must bear their first hour; the day must bear them, and what runs already, until midnight (UTC).
    ending: hosts of this stack whose machines end before.
    """
    ours = Ledger(stack.home).of_stack(stack.project, stack.name)
    now = clock.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    key = f"{stack.file.name}: gpurig:budget"
    if budget.total is not None:
        so_far = spent(ours, EVER, now)
        if so_far + price > budget.total:
            raise ConfigError(
                f"{key}.total: ${budget.total:.2f} would be exceeded: ${so_far:.2f} are spent, and one more hour costs ${price:.2f}. "
                "Nothing was rented; raise it to go on."
            )
    if budget.day is not None:
        today = spent(ours, midnight, now)
        left = Decimal((midnight + timedelta(days=1) - now) / HOUR)
        hourly = running(rental for rental in ours if rental.host not in ending) + price
        projected = today + hourly * left
        if projected > budget.day:
            raise ConfigError(
                f"{key}.day: ${budget.day:.2f} would be exceeded: ${today:.2f} are spent today, and ${hourly:.2f} an hour "
                f"until midnight (UTC) would make it ${projected:.2f}. Nothing was rented; raise it to go on, or end hosts."
            )


def _price_after(rental: Rental, kind: Kind, price: Decimal) -> Decimal:
    if kind == "stopped":
        return rental.price if rental.price_stopped is None else rental.price_stopped
    return rental.price if kind == "started" else price


def _file(stack: Stack) -> Path:
    return stack.dir / "budget.json"
