"""Whether the Linux side of a PC has still to be made, which check mode leaves out."""

from __future__ import annotations

from typing import Any

from gpurig.windows import inside
from tests.windows.model.fresh import fresh
from tests.windows.model.healthy import healthy, variables
from tests.windows.model.installed import installed
from tests.windows.model.pc import Machine
from tests.windows.rounds import look

PORT = 2222


def to_come(machine: Machine, **entry: Any) -> bool:
    return inside.to_come(look(machine, "inside", variables=variables(**entry))["inside"], PORT)


def test_a_fresh_pc_has_none() -> None:
    assert to_come(Machine(fresh()))


def test_a_distribution_that_nobody_can_log_in_to_is_not_enough() -> None:
    assert to_come(installed())


def test_a_finished_one_is_there() -> None:
    assert not to_come(healthy())


def test_one_without_our_user_is_to_come() -> None:
    assert to_come(healthy(), wsl={"user": "another"})


def test_what_could_not_be_asked_is_not_left_out_silently() -> None:
    assert not inside.to_come({"error": {"message": "Access denied", "id": "", "hresult": "0x80070005"}}, PORT)
