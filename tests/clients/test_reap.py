"""`rig reap`: what is found, what is ended, and what is never touched."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from gpurig import engine, reap, reaping, records, runs, settle
from gpurig.errors import ConfigError
from gpurig.ledger import Ledger
from gpurig.stack import Stack
from tests.clients.commands import FOREIGN, Rig, ids, intended, stray, write
from tests.clients.fake import Fault
from tests.clients.fake_vastai import Vastai, offer
from tests.unit.test_runs import RUN


def test_reap_finds_nothing_where_every_machine_is_in_a_stack(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    vast.rent("somebody's own", offer=offer(50), body={}).listed_from = 0
    vast.rent("gpurig.unit.test.trainer.1", offer=offer(51), body={}).listed_from = 0  # not our exact mark
    code, out, _ = rig("reap", "--yes")
    assert (code, out) == (0, "Nothing is left over: every machine with our mark is in a stack.\n")
    assert len(vast.living()) == 3


def test_reap_looks_first_and_ends_with_yes(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    write(stack, trainer="", other="")
    rig("up", "--yes")
    kept = records.require(stack, "other").id
    records.remove(stack, "trainer")
    code, out, err = rig("reap")
    assert code == 0
    assert "gpurig.unit.test.trainer.1" in out
    assert "0.360" in out
    assert "`rig reap --yes` ends 1 of 1: $0.36 an hour." in err
    assert len(vast.living()) == 2
    assert rig("reap", "--yes")[0] == 0
    assert ids(vast) == [kept]
    assert [r.host for r in Ledger(stack.home).open_rentals()] == ["other"]


def test_reap_ends_one_too_many_and_not_the_recorded_one(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    (kept,) = vast.living()
    extra = stray(vast, kept.mark)
    lost = intended(stack, "trainer", project="unit", stack="test", label="gpurig.unit.test.trainer.1")
    Ledger(stack.home).note(lost, "absent")
    (one,) = json.loads(rig("reap", "--json")[1])["left"]
    assert (one["id"], one["why"]) == (extra, f"one too many: trainer is vastai {kept.id}")
    rig("reap", "--yes")
    assert ids(vast) == [kept.id]
    assert records.require(stack, "trainer").id == kept.id


def test_a_second_machine_that_we_did_not_make_is_unknown_here_too(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    (kept,) = vast.living()
    another = stray(vast, kept.mark)
    assert "unknown here" in rig("reap", "--yes")[1]
    assert ids(vast) == [kept.id, another]


def test_ending_one_machine_takes_over_no_other_of_its_host(rig: Rig, stack: Stack, vast: Vastai) -> None:
    """Another computer's machine of the same host must not become ours by our ending our own."""
    write(stack, trainer="")
    rig("up", "--yes")
    another = stray(vast, "gpurig.unit.test.trainer.7.0123456789ab")
    records.remove(stack, "trainer")
    assert rig("reap", "--yes")[0] == 0
    assert ids(vast) == [another]
    assert [rental.generation for rental in Ledger(stack.home).rentals()] == [1]
    assert rig("reap", "--yes")[0] == 0
    assert ids(vast) == [another]


def test_finishing_an_end_ends_no_other_machine_of_its_host(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    another = stray(vast, "gpurig.unit.test.trainer.7.0123456789ab")
    (rental,) = Ledger(stack.home).open_rentals()
    Ledger(stack.home).note(rental.id, "ending", reason="interrupted")
    assert rig("reap", "--yes")[0] == 0
    assert ids(vast) == [another]
    assert Ledger(stack.home).open_rentals() == []


def test_what_was_only_found_is_not_made_here(rig: Rig, stack: Stack, vast: Vastai) -> None:
    another = stray(vast, FOREIGN)
    Ledger(stack.home).adopt(
        another, provider="vastai", label="gpurig.other.prod.trainer.3", project="other", stack="prod", host="trainer",
        generation=3, price=Decimal(1), price_stopped=None, offer={},
    )  # fmt: skip
    assert "unknown here" in rig("reap", "--yes")[1]
    assert ids(vast) == [another]


def test_a_machine_of_our_label_that_we_did_not_make_is_unknown_here(rig: Rig, stack: Stack, vast: Vastai) -> None:
    """Another computer works on the same stack, and has come to the same generation."""
    write(stack, trainer="")
    rig("up", "--yes")
    mark = vast.living()[0].mark
    rig("down", "--yes")
    another = stray(vast, mark)
    (one,) = json.loads(rig("reap", "--yes", "--json")[1])["left"]
    assert one["known_here"] is False
    assert ids(vast) == [another]


def test_reap_ends_anothers_machine_only_when_named(rig: Rig, stack: Stack, vast: Vastai) -> None:
    foreign = stray(vast, FOREIGN)
    code, out, _ = rig("reap", "--yes")
    assert code == 0
    assert "unknown here: perhaps another computer's" in out
    assert ids(vast) == [foreign]
    assert "`rig reap gpurig.other.prod.trainer.3 --yes`" in rig("reap")[2]
    assert rig("reap", "gpurig.other.prod.trainer.3")[0] == 0
    assert ids(vast) == [foreign]
    assert rig("reap", "gpurig.other.prod.trainer.3", "--yes")[0] == 0
    assert ids(vast) == []


def test_a_machine_of_a_lost_ledger_is_known_by_its_host_key(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    records.remove(stack, "trainer")
    (stack.home / "ledger.sqlite").unlink()
    (one,) = json.loads(rig("reap", "--json")[1])["left"]
    assert one["known_here"] is True
    rig("reap", "--yes")
    assert ids(vast) == []


def test_a_label_that_nothing_has_is_wrong_use(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    code, _, err = rig("reap", "gpurig.unit.test.trainer.1", "--yes")
    assert code == 2
    assert "not among what no stack has" in err
    assert len(vast.living()) == 1


def test_reap_leaves_alone_what_another_rig_works_on(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    records.remove(stack, "trainer")
    with records.host_lock(stack, "trainer"):
        code, out, err = rig("reap", "--yes")
        assert (code, "somebody works on it now" in out) == (0, True)
        assert "left alone: another `rig` works on trainer" in err
        assert rig("reap", "gpurig.unit.test.trainer.1", "--yes")[0] == 2
    assert len(vast.living()) == 1


def test_reap_leaves_a_stack_alone_on_which_an_engine_works(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    records.remove(stack, "trainer")
    with engine.exclusive(stack):
        assert "left alone: another `rig` works on trainer" in rig("reap", "--yes")[2]
    assert len(vast.living()) == 1


def test_what_came_into_a_stack_meanwhile_is_not_ended(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    recorded = records.require(stack, "trainer")
    records.remove(stack, "trainer")
    (one,) = reap.left(stack.home, reap.listing(["vastai"]), ["vastai"], Ledger(stack.home).rentals())
    records.save(stack, recorded)
    with pytest.raises(ConfigError, match="stack test has it now"):
        reaping.end(stack.home, one, report=lambda _: None)
    assert len(vast.living()) == 1


def test_reap_closes_a_call_that_made_nothing(rig: Rig, stack: Stack, vast: Vastai) -> None:
    intended(stack)
    out = rig("reap")[1]
    assert "the call to rent it had no clear answer; it is not listed" in out
    assert Ledger(stack.home).open_rentals()
    assert rig("reap", "--yes")[0] == 0
    assert Ledger(stack.home).rentals()[0].state == "absent"
    assert rig("status")[2] == ""


def test_reap_ends_what_a_lost_call_made(rig: Rig, stack: Stack, vast: Vastai) -> None:
    intended(stack)
    stray(vast, "gpurig.x.y.z.1.0123456789ab")
    assert rig("reap", "--yes")[0] == 0
    assert vast.living() == []
    assert Ledger(stack.home).rentals()[0].state == "ended"


def test_reap_finishes_an_end_that_was_begun(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    (rental,) = Ledger(stack.home).open_rentals()
    Ledger(stack.home).note(rental.id, "ending", reason="interrupted")
    assert "its end was begun and never confirmed" in rig("reap")[1]
    assert rig("reap", "--yes")[0] == 0
    assert vast.living() == []
    assert records.load(stack) == {}
    assert Ledger(stack.home).open_rentals() == []


def test_a_broken_vendor_makes_reap_fail_but_hides_no_other(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    intended(stack)
    stray(vast, "gpurig.x.y.z.1.0123456789ab")
    intended(stack, "w", provider="runpod")
    monkeypatch.setenv("RUNPOD_API_KEY", "k")
    monkeypatch.setenv("GPURIG_RUNPOD_URL", "http://127.0.0.1:9")
    code, out, err = rig("reap", "--yes", "--json")
    data = json.loads(out)
    assert code == 1
    assert "127.0.0.1:9" in err
    assert set(data["problems"]) == {"runpod"}
    assert [(one["label"], one["done"]) for one in data["left"]] == [
        ("gpurig.x.y.w.1", ""),
        ("gpurig.x.y.z.1", "ended"),
    ]
    assert vast.living() == []
    assert [r.host for r in Ledger(stack.home).open_rentals()] == ["w"]


def test_reap_keeps_a_machine_with_results_unless_they_may_be_lost(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    runs.save(stack, replace(RUN, state="done", host="trainer", label=records.require(stack, "trainer").label))
    records.remove(stack, "trainer")
    code, _, err = rig("reap", "--yes")
    assert code == 1
    assert RUN.id in err
    assert len(vast.living()) == 1
    assert rig("reap", "--yes", "--discard")[0] == 0
    assert vast.living() == []


def test_an_end_that_the_vendor_refuses_is_told(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle, "RENTED_END_SECONDS", 30.0)
    intended(stack)
    stray(vast, "gpurig.x.y.z.1.0123456789ab")
    vast.faults = [Fault("end", "status", 403) for _ in range(1000)]
    code, _, err = rig("reap", "--yes")
    assert code == 1
    assert "gpurig.x.y.z.1" in err or "z:" in err
    assert Ledger(stack.home).open_rentals()[0].unsure
