"""What a stack may spend: refused before anything is rented."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from gpurig import budget, clock
from gpurig.budget import Budget
from gpurig.errors import ConfigError
from gpurig.ledger import Ledger
from gpurig.stack import Stack

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Clock:
    """A clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(clock, "now", made)
    return made


def rent(here: Stack, price: str, host: str = "a", **facts: Any) -> str:
    given = {
        "project": here.project,
        "stack": here.name,
        "label": f"gpurig.p.s.{host}.1",
        "price_stopped": Decimal("0.01"),
    }
    return Ledger(here.home).intend(
        **{"provider": "vastai", "host": host, "generation": 1, "price": Decimal(price), **given, **facts}
    )


def test_without_a_budget_everything_fits(stack: Stack, time: Clock) -> None:
    budget.check(stack, Decimal(1000))


def test_the_total_must_bear_one_more_hour(stack: Stack, time: Clock) -> None:
    budget.remember(stack, Budget(total=Decimal(10)))
    rent(stack, "2")
    time.now += timedelta(hours=4)
    budget.check(stack, Decimal(2))
    with pytest.raises(ConfigError, match=r"gpurig:budget\.total: \$10\.00 would be exceeded: \$8\.00 are spent"):
        budget.check(stack, Decimal("2.01"))


def test_the_day_must_bear_what_runs_until_midnight(stack: Stack, time: Clock) -> None:
    budget.remember(stack, Budget(day=Decimal(24)))
    rent(stack, "1")
    budget.check(stack, Decimal(1))
    with pytest.raises(ConfigError, match=r"gpurig:budget\.day: .*\$2\.01 an hour until midnight \(UTC\)"):
        budget.check(stack, Decimal("1.01"))
    time.now += timedelta(hours=11)
    budget.check(stack, Decimal(11))


def test_yesterday_does_not_count_today_but_in_the_total(stack: Stack, time: Clock) -> None:
    rental = rent(stack, "5")
    time.now += timedelta(hours=6)
    Ledger(stack.home).note(rental, "ended")
    time.now += timedelta(hours=12)
    budget.fits(stack, Decimal(1), Budget(day=Decimal(18)))
    with pytest.raises(ConfigError, match=r"total"):
        budget.fits(stack, Decimal(1), Budget(total=Decimal(30)))


def test_other_stacks_do_not_count(stack: Stack, time: Clock) -> None:
    rent(stack, "100", stack="another")
    rent(stack, "100", project="another")
    time.now += timedelta(hours=1)
    budget.fits(stack, Decimal(1), Budget(total=Decimal(1)))


def test_a_host_that_ends_before_is_not_counted_on(stack: Stack, time: Clock) -> None:
    rent(stack, "1", "old")
    with pytest.raises(ConfigError):
        budget.fits(stack, Decimal(1), Budget(day=Decimal(12)))
    budget.fits(stack, Decimal(1), Budget(day=Decimal(12)), ending=["old"])


def test_a_stopped_host_counts_with_its_disk(stack: Stack, time: Clock) -> None:
    rental = rent(stack, "1")
    Ledger(stack.home).note(rental, "stopped")
    budget.fits(stack, Decimal(1), Budget(day=Decimal("12.12")))
    with pytest.raises(ConfigError):
        budget.fits(stack, Decimal(1), Budget(day=Decimal("12.11")))


def test_a_budget_that_was_taken_out_is_forgotten(stack: Stack, time: Clock) -> None:
    budget.remember(stack, Budget(total=Decimal("0.01")))
    budget.remember(stack, None)
    budget.check(stack, Decimal(1))


@pytest.mark.parametrize("wrong", [{"total": 0}, {"total": -1}, {"week": 1}, {"day": "x"}])
def test_a_wrong_budget_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Budget.model_validate(wrong)
