"""What `rig reap` says of what it found and ended, and where it could not look."""

from __future__ import annotations

import pytest

from gpurig import reap, records
from gpurig.ledger import Ledger
from gpurig.ops import reap as ops_reap
from gpurig.providers import Machine, Owner
from gpurig.stack import Stack
from tests.clients.commands import Rig, intended, write
from tests.clients.fake_vastai import Vastai


def test_without_any_key_reap_tells_what_the_ledger_has_open(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VAST_API_KEY")
    intended(stack)
    code, out, err = rig("reap", "--yes")
    assert (code, "gpurig.x.y.z.1" in out) == (1, True)
    assert "No vendor can be asked, since no key is here." in err
    assert [rental.state for rental in Ledger(stack.home).open_rentals()] == ["intended"]


def test_reap_never_says_that_nothing_is_left_where_it_could_not_look(
    rig: Rig, stack: Stack, vast: Vastai, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPURIG_VASTAI_URL", "http://127.0.0.1:9")
    code, out, _ = rig("reap")
    assert (code, out) == (1, "Nothing was found, but not everything could be looked at.\n")


def test_reap_says_what_it_ended_and_what_was_not_there(rig: Rig, stack: Stack, vast: Vastai) -> None:
    write(stack, trainer="")
    rig("up", "--yes")
    records.remove(stack, "trainer")
    intended(stack)
    lines = rig("reap", "--yes")[1].splitlines()
    assert lines[-2:] == ["Ended: gpurig.unit.test.trainer.1", "Nothing is left of: gpurig.x.y.z.1"]


@pytest.mark.parametrize(
    "told",
    ["1795168800", "1795168800.5", "2026-11-20T10:00:00Z", "2026-11-20 10:00:00.123 +0000 UTC", "2026-11-20T10:00:00"],
)
def test_since_has_one_form_whatever_a_vendor_writes(told: str) -> None:
    owner = Owner("p", "s", "h")
    machine = Machine("1", owner, 1, "", running=True, provider="vastai", since=told)
    one = reap.Left(provider="vastai", owner=owner, generation=1, machine=machine, rental=None, why="")
    found = ops_reap._since(one)
    assert found is not None
    assert f"{found:%Y-%m-%d %H:%M:%S %z}" == "2026-11-20 10:00:00 +0000"
