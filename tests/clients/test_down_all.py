"""`rig down --all` with a stack that lost its state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gpurig import pulumi_cli, reap, records, remains, runs
from gpurig.errors import RigError
from gpurig.ledger import Ledger
from gpurig.stack import Stack
from tests.clients.commands import FOREIGN, Rig, ids, intended, stray, write
from tests.clients.fake_vastai import Vastai
from tests.unit.test_runs import RUN


def test_down_all_ends_every_host_of_a_stack_that_lost_its_records(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, a="", b="", c="")
    rig("up", "--yes")
    foreign = stray(vast, FOREIGN)
    (stack.dir / "hosts/a.json").write_text("{half")
    (stack.dir / "hosts/b.json").unlink()
    stack.file.write_text("broken: [")
    for words in (["down", "--yes"], ["down", "a", "--yes"], ["status"]):
        code, _, err = rig(*words)
        assert (code, "a.json: damaged" in err, "Or `rig down --all` ends" in err) == (1, True, True)
    assert len(vast.living()) == 4
    code, out, err = rig("down", "--all", "--yes")
    assert (code, out) == (0, "Ended: a, b, c\n")
    assert ids(vast) == [foreign]
    assert "a.json" in err
    assert Ledger(stack.home).open_rentals() == []
    assert records.intents(stack) == {}
    assert rig("down", "--all", "--yes")[1] == "Stack test has no hosts, as far as can be told.\n"


def test_what_is_found_of_a_damaged_stack_is_written_down_before_anything_is_put_away(
    rig: Rig, stack: Stack, vast: Vastai
) -> None:
    write(stack, a="")
    rig("up", "--yes")
    (stack.dir / "hosts/a.json").write_text("{half")
    (stack.home / "ledger.sqlite").unlink()
    found = remains.hosts(stack, reap.listing(["vastai"]), report=lambda _: None)
    remains.secure(stack, found)
    assert records.intents(stack) == {"a": ("vastai",)}
    assert records.load(stack) == {}
    assert rig("down", "--yes")[1] == "Ended: a\n"
    assert vast.living() == []


def test_down_all_works_from_the_vendors_listing_alone(rig: Rig, stack: Stack, vast: Vastai) -> None:
    import shutil

    write(stack, a="", b="")
    rig("up", "--yes")
    shutil.rmtree(stack.home)
    stack.file.unlink()
    code, out, _ = rig("down", "--all", "--yes")
    assert (code, out) == (0, "Ended: a, b\n")
    assert vast.living() == []


@pytest.mark.parametrize("words", [["--all"], [], ["a"]])
def test_hosts_are_ended_with_a_damaged_ledger_too(rig: Rig, stack: Stack, vast: Vastai, words: list[str]) -> None:
    write(stack, a="")
    rig("up", "--yes")
    (stack.home / "ledger.sqlite").write_text("no database " * 100)
    code, out, err = rig("down", *words, "--yes")
    assert (code, out) == (0, "Ended: a\n")
    assert err.count("the ledger cannot be used") == 1
    assert "Move the file aside, then `rig down --all`" in err
    assert vast.living() == []
    assert rig("status")[2].count("the ledger cannot be used") == 1


def test_down_all_ends_what_it_can_and_tells_the_rest(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(stack, a="")
    rig("up", "--yes")
    intended(stack, "w", provider="runpod", project="unit", stack="test")
    code, out, err = rig("down", "--all", "--yes")
    assert (code, out) == (1, "Ended: a\n")
    assert "RUNPOD_API_KEY" in err
    assert vast.living() == []


def test_a_vendor_that_cannot_be_asked_keeps_no_other_vendors_machine(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, a="")
    rig("up", "--yes")
    intended(stack, "a", provider="runpod", project="unit", stack="test", label="gpurig.unit.test.a.1")
    code, out, err = rig("down", "--all", "--yes")
    assert (code, out) == (1, "Ended: none\n")
    assert "RUNPOD_API_KEY" in err
    assert vast.living() == []
    assert [r.provider for r in Ledger(stack.home).open_rentals()] == ["runpod"]


def test_down_all_keeps_what_holds_results_unless_they_may_be_lost(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, a="", b="")
    rig("up", "--yes")
    runs.save(stack, replace(RUN, host="a", label=records.require(stack, "a").label))
    code, out, err = rig("down", "--all", "--yes")
    assert (code, out) == (1, "Ended: b\n")
    assert RUN.id in err
    assert len(vast.living()) == 1
    assert rig("down", "--all", "--yes", "--discard")[0] == 0
    assert vast.living() == []


def test_down_all_goes_on_where_pulumi_cannot(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(stack, a="")
    rig("up", "--yes")

    def broken(*_: object, **__: object) -> None:
        raise RigError("the state is damaged")

    monkeypatch.setattr(pulumi_cli, "find", lambda: Path("/usr/bin/pulumi"))
    monkeypatch.setattr(pulumi_cli, "down", broken)
    code, out, err = rig("down", "--all", "--yes")
    assert (code, out) == (0, "Ended: a\n")
    assert "it goes on without: the state is damaged" in err
    assert vast.living() == []


def test_down_all_asks_first_and_takes_no_host(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, a="")
    rig("up", "--yes")
    code, _, err = rig("down", "--all")
    assert code == 2
    assert "End a (vastai)? Nobody can be asked here: say --yes." in err
    assert rig("down", "a", "--all", "--yes")[0] == 2
    assert len(vast.living()) == 1
