"""`rig costs`, and what every command says first."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from gpurig import records
from gpurig.ledger import Kind, Ledger
from gpurig.stack import Stack
from tests.clients.commands import Rig, intended, write


def test_costs_are_told_in_the_table_and_on_a_page(rig: Rig, stack: Stack, tmp_path: Path) -> None:
    assert rig("costs")[1] == "Nothing was ever rented from here.\n"
    write(stack, trainer="")
    rig("up", "--yes")
    out = rig("costs")[1]
    assert "unit/test/trainer" in out
    assert "BILLS NOW" in out
    assert "As it goes on, today will have cost" in out
    code, _, err = rig("costs", "--by", "provider", "--html", str(tmp_path / "costs.html"))
    assert code == 0
    page = (tmp_path / "costs.html").read_text()
    assert str(tmp_path / "costs.html") in err
    assert "<svg" in page
    assert "gpurig.unit.test.trainer.1" in page
    assert "http" not in page
    assert "src=" not in page


def test_costs_of_one_stack_or_of_everything(rig: Rig, stack: Stack) -> None:
    facts = {
        "provider": "vastai",
        "label": "gpurig.x.y.z.1",
        "host": "z",
        "generation": 1,
        "price": Decimal(1),
        "price_stopped": None,
    }
    Ledger(stack.home).intend(project="x", stack="y", **facts)
    assert json.loads(rig("costs", "--json")[1])["total"]["rentals"] == 1
    for words in (["--stack-only"], ["--stack", "test"]):
        assert json.loads(rig("costs", *words, "--json")[1])["total"]["rentals"] == 0
    assert "1 may still bill" in rig("costs")[1]


def test_costs_want_a_known_grouping_and_a_folder(rig: Rig, tmp_path: Path) -> None:
    assert rig("costs", "--by", "week")[0] == 2
    assert rig("costs", "--html", str(tmp_path / "nowhere" / "a.html"))[0] == 2


def test_every_command_says_first_what_may_still_bill(rig: Rig, stack: Stack) -> None:
    assert rig("status")[2] == ""
    intended(stack)
    for words in (["status"], ["offers"], ["runs"], ["nonsense"]):
        first = rig(*words)[2].splitlines()[0]
        assert first.startswith("Warning: vastai gpurig.x.y.z.1 may still bill ($0.41 an hour since ")
        assert first.endswith("UTC): `rig reap` looks and ends it.")


def test_what_somebody_works_on_is_not_warned_of(rig: Rig, stack: Stack) -> None:
    intended(stack)
    with records.host_lock(Stack("x", "y", stack.root, stack.home), "z"):
        assert rig("status")[2] == ""


@pytest.mark.parametrize("state", ["listed", "accepted", "stopped"])
def test_a_machine_that_no_record_has_is_told_of_whatever_its_state(rig: Rig, stack: Stack, state: Kind) -> None:
    """`rig up` was killed while it booted, or was accepted: it bills, and no record tells of it."""
    rental = intended(stack)
    Ledger(stack.home).note(rental, "rented", machine="1001")
    Ledger(stack.home).note(rental, state)
    assert "gpurig.x.y.z.1 may still bill" in rig("runs")[2].splitlines()[0]
    with records.host_lock(Stack("x", "y", stack.root, stack.home), "z"):
        assert rig("runs")[2] == ""


def test_a_recorded_machine_is_not_warned_of_but_another_one_of_its_host_is(rig: Rig, stack: Stack) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    assert rig("runs")[2] == ""
    record = stack.dir / "hosts" / "trainer.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "id": "another"}))
    assert "gpurig.unit.test.trainer.1 may still bill" in rig("runs")[2]


@pytest.mark.parametrize("state", ["rented", "accepted", "stopped"])
def test_costs_mark_the_rentals_that_the_first_line_warns_of(rig: Rig, stack: Stack, state: Kind) -> None:
    rental = intended(stack)
    Ledger(stack.home).note(rental, "rented", machine="1001")
    Ledger(stack.home).note(rental, state)
    _, out, err = rig("costs")
    assert "may still bill" in err.splitlines()[0]
    assert f"may still bill ({state})" in out
    assert "1 may still bill" in out
    with records.host_lock(Stack("x", "y", stack.root, stack.home), "z"):
        _, out, err = rig("costs")
        assert "may still bill" not in out + err
        assert [line["unsure"] for line in json.loads(rig("costs", "--json")[1])["open"]] == [False]


def test_many_warnings_are_counted(rig: Rig, stack: Stack) -> None:
    for number in range(9):
        intended(stack, f"z{number}")
    lines = rig("status")[2].splitlines()
    assert (len(lines), lines[-1]) == (6, "Warning: so may 4 others.")


def test_a_damaged_ledger_is_told_and_stops_nothing(rig: Rig, stack: Stack) -> None:
    stack.home.mkdir(exist_ok=True)
    (stack.home / "ledger.sqlite").write_text("no database " * 100)
    code, _, err = rig("status")
    assert code == 0
    assert "the ledger cannot be used" in err.splitlines()[0]
