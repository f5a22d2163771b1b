"""What rentals cost: figures of the ledger's entries, by day, host and vendor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurig import budget, costs, costs_page
from gpurig.ledger import CLOSED, Kind, Rental

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rental(*entries: tuple[datetime, Kind], **fields: object) -> Rental:
    """A rental with these entries, at $0.60 an hour and $0.05 while stopped."""
    facts = {
        "id": "1", "provider": "vastai", "label": "gpurig.p.s.a.1", "project": "p", "stack": "s", "host": "a",
        "generation": 1, "price": Decimal("0.60"), "price_stopped": Decimal("0.05"), "offer": {},
        "state": entries[-1][1], "times": entries, **fields,
    }  # fmt: skip
    return Rental(**facts)  # type: ignore[arg-type]  # checked by the tests that use it


@st.composite
def rentals(draw: st.DrawFn) -> list[Rental]:
    """Rentals whose entries come in any order that a ledger may have."""
    found = []
    for number in range(draw(st.integers(0, 6))):
        moment = NOON - timedelta(microseconds=draw(st.integers(0, 60 * 86_400_000_000)))
        entries: list[tuple[datetime, Kind]] = [(moment, "intended")]
        kinds: list[Kind] = draw(
            st.lists(st.sampled_from(["rented", "accepted", "stopped", "started", "ending"]), max_size=8)
        )
        kinds += draw(st.sampled_from([[], ["ended"], ["gone"], ["absent"]]))
        for kind in kinds:
            moment += timedelta(microseconds=draw(st.integers(0, 3 * 86_400_000_000)))
            entries.append((min(moment, NOON), kind))
        price = Decimal(draw(st.integers(1, 400_000))) / 10_000
        stopped = draw(st.none() | st.just(price / 8))
        host, provider = draw(st.sampled_from("abc")), draw(st.sampled_from(["vastai", "runpod"]))
        names = {"id": str(number), "host": host, "provider": provider}
        found.append(rental(*entries, price=price, price_stopped=stopped, **names))
    return found


@given(rentals())
def test_days_hosts_and_vendors_each_add_up_to_the_whole(found: list[Rental]) -> None:
    total = costs.of(found, "host", NOON).total
    for by in ("day", "host", "provider"):
        lines = costs.of(found, by, NOON).lines
        for figure in ("spent", "today", "month", "hourly", "wasted"):
            summed = sum((getattr(line, figure) for line in lines), Decimal(0))
            assert abs(summed - getattr(total, figure)) < Decimal("1e-12"), (by, figure)
    assert total.today <= total.month <= total.spent


@given(rentals())
def test_no_moment_is_billed_twice_nor_left_out(found: list[Rental]) -> None:
    for one in found:
        stretches = budget.periods(one, NOON)
        assert [a.end for a in stretches[:-1]] == [b.start for b in stretches[1:]]
        if stretches:
            last = next((at for at, kind in one.times if kind in CLOSED), NOON)
            assert (stretches[0].start, stretches[-1].end) == (one.since, max(last, one.since))


def test_stopped_time_costs_what_stopping_costs() -> None:
    one = rental(
        (NOON - 5 * HOUR, "intended"), (NOON - 5 * HOUR, "accepted"), (NOON - 3 * HOUR, "stopped"), (NOON - HOUR, "started")
    )  # fmt: skip
    found = costs.of([one], "host", NOON)
    assert found.total.spent == 3 * Decimal("0.60") + 2 * Decimal("0.05")
    assert found.total.hourly == Decimal("0.60")
    asleep = rental((NOON - HOUR, "intended"), (NOON, "stopped"))
    assert costs.of([asleep], "host", NOON).total.hourly == Decimal("0.05")


def test_one_that_saves_nothing_when_stopped_costs_the_same() -> None:
    one = rental((NOON - 2 * HOUR, "intended"), (NOON - HOUR, "stopped"), price_stopped=None)
    assert costs.of([one], "host", NOON).total.spent == Decimal("1.20")


def test_days_are_cut_at_midnight_utc_and_what_goes_on_is_projected() -> None:
    one = rental((NOON - 15 * HOUR, "intended"), (NOON - 15 * HOUR, "accepted"))
    found = costs.of([one], "day", NOON)
    assert [(line.name, line.spent) for line in found.lines] == [
        ("2026-11-21", Decimal("1.80")), ("2026-11-22", Decimal("7.20")),
    ]  # fmt: skip
    assert found.day_end == 24 * Decimal("0.60")
    assert found.month_end == Decimal("9.00") + (12 + 8 * 24) * Decimal("0.60")


@pytest.mark.parametrize("state", ["refused", "absent"])
def test_what_was_never_made_costs_nothing(state: Kind) -> None:
    found = costs.of([rental((NOON - HOUR, "intended"), (NOON, state))], "host", NOON)
    assert found.total.spent == found.total.rentals == len(found.lines) == 0


def test_what_may_exist_counts_as_if_it_did_and_is_marked() -> None:
    found = costs.of([rental((NOON - HOUR, "intended"))], "host", NOON, frozenset("1"))
    assert (found.total.spent, found.total.unsure, found.total.open) == (Decimal("0.60"), 1, 1)
    assert found.to_dict()["open"][0]["unsure"] is True


def test_machines_that_were_not_accepted_are_told_apart() -> None:
    bad = rental((NOON - 2 * HOUR, "intended"), (NOON - HOUR, "ending"), (NOON - HOUR, "ended"), id="2")
    good = rental((NOON - HOUR, "intended"), (NOON - HOUR, "accepted"), (NOON, "ended"))
    new = rental((NOON - HOUR, "intended"), id="3")
    found = costs.of([bad, good, new], "provider", NOON)
    assert found.lines[0].wasted == Decimal("0.60")
    assert found.total.spent == Decimal("1.80")


def test_an_end_that_is_told_twice_counts_once() -> None:
    one = rental((NOON - 3 * HOUR, "intended"), (NOON - 2 * HOUR, "ended"), (NOON, "gone"))
    assert costs.of([one], "host", NOON).total.spent == Decimal("0.60")


def test_programs_get_exact_text() -> None:
    data = costs.of([rental((NOON - HOUR, "intended"))], "host", NOON).to_dict()
    assert data["total"]["spent"] == "0.6000"
    assert data["lines"][0]["name"] == "p/s/a"
    assert data["open"][0]["hourly"] == "0.6000"


def test_the_plot_is_as_high_as_what_was_spent_and_shows_the_last_days_only() -> None:
    long_ago = rental((NOON - timedelta(days=90), "intended"), (NOON - timedelta(days=89), "ended"), id="2", host="b")
    one = rental((NOON - timedelta(days=2), "intended"), (NOON, "ended"))
    plot = costs_page.plot(costs.of([long_ago, one], "host", NOON), [long_ago, one])
    assert len(plot.bars) == 3
    assert plot.names == ("p/s/a",)
    first, second, third = plot.bars
    assert second.height == pytest.approx(2 * first.height) == pytest.approx(2 * third.height)
    assert second.words == "2026-11-21, p/s/a: $14.40"
    assert all(bar.y >= 0 and bar.y + bar.height <= plot.height + 1e-9 for bar in plot.bars)
    assert max(bar.x + bar.width for bar in plot.bars) <= plot.width


def test_many_hosts_share_the_last_colour() -> None:
    many = [rental((NOON - HOUR, "intended"), (NOON, "ended"), id=str(n), host=f"h{n:02}") for n in range(20)]
    plot = costs_page.plot(costs.of(many, "host", NOON), many)
    assert len(plot.names) == costs_page.COLOURS + 1
    assert plot.names[-1] == "others"
    assert sum(bar.height for bar in plot.bars) == pytest.approx(12 / 12.5 * plot.height, rel=0.05)


def test_a_page_holds_no_code_of_anybodys_and_needs_no_other_file() -> None:
    evil = rental((NOON - HOUR, "intended"), label="<script>alert(1)</script>", host="</title><script>")
    page = costs_page.html(costs.of([evil], "host", NOON), [evil], title="<i>x</i>")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not any(outside in page for outside in ("http:", "https:", "src=", "@import", "url("))
    assert costs_page.html(costs.of([], "day", NOON), [], title="empty")
