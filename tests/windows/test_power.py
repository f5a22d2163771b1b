"""Topic power."""

from __future__ import annotations

import json

import pytest

from gpurig.windows import topics, wire
from tests.windows.model import shell
from tests.windows.model.fresh import fresh
from tests.windows.model.pc import Machine
from tests.windows.rounds import converge, look


def test_a_fresh_pc_sleeps_and_is_told_not_to() -> None:
    machine = Machine(fresh())
    plan = topics.decide("power", look(machine, "power"), {})
    assert [action.kind for action in plan.actions] == ["power_set", "power_set"]
    converge(machine, "power", {})
    assert machine.data["power"]["standby"] == 0


@pytest.mark.parametrize("minutes", [0, 1, 90])
def test_the_second_round_is_empty(minutes: int) -> None:
    machine = Machine(fresh())
    converge(machine, "power", {"win_power_sleep_minutes": minutes, "win_power_wake_on_lan": True})
    assert machine.data["power"]["standby"] == 60 * minutes


def test_what_none_was_wanted_of_stays() -> None:
    machine = Machine(fresh())
    before = machine.snapshot()
    converge(machine, "power", {"win_power_sleep_minutes": None, "win_power_fast_startup": None})
    assert machine.data["power"] == before["power"]


def test_less_than_never_is_refused() -> None:
    wanted = {"win_power_sleep_minutes": -1}
    plan = topics.decide("power", look(Machine(fresh()), "power"), wanted)
    assert plan.actions == ()
    assert [refusal.key for refusal in plan.refusals] == ["power.sleep"]


def test_an_unknown_parameter_is_refused() -> None:
    request = json.loads(wire.request([], {"power": {}}))
    request["sections"][0]["parameters"] = {"Nonsense": 1}
    assert shell.drive(Machine(fresh()), request)["state"]["power"]["error"]["id"] == "NamedParameterNotFound"
