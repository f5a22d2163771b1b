"""What `rig doctor --fix` leaves alone, since work inside WSL would be lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpurig.windows import failures, mending
from gpurig.windows.failures import Case
from gpurig.windows.mending import Mending
from tests.windows import rounds
from tests.windows.homes import Quiet
from tests.windows.model import faults, wsl_vm
from tests.windows.model.faults import FAULTS, LOST
from tests.windows.model.healthy import healthy
from tests.windows.model.pc import Machine
from tests.windows.test_failures import look

HANGS = {"code": None, "out": "", "err": "", "seconds": 60.0}


def todo(case: Case) -> Mending:
    return mending.mending(case, failures.detect(case))


def shared() -> Machine:
    """A PC whose relay for localhost is gone, and on which a distribution of somebody's own runs too."""
    machine = healthy()
    quiet = Quiet()
    quiet.machine = machine
    machine.linux = {**machine.linux, "Debian": quiet}
    wsl_vm.install(machine, "Debian", "")
    wsl_vm.start(machine, "Debian")
    FAULTS[31].breaks(machine)
    return machine


def test_another_distribution_goes_on() -> None:
    machine = shared()
    case = look(machine, LOST)
    found = todo(case)
    assert 31 in found.held
    assert found.working == ("the distribution Debian runs, which is not ours",)
    rounds.talk(machine, found.actions, {})
    assert "Debian" in machine.data["wsl"]["running"]


def test_what_ends_nothing_is_done_all_the_same() -> None:
    machine = shared()
    faults.task(machine, "ExecutionTimeLimit", "PT72H")
    found = todo(look(machine, LOST))
    assert found.held == (31,)
    assert "task_register" in {action.kind for action in found.actions}


@pytest.mark.parametrize("number", [3, 16, 31])
def test_what_runs_and_does_not_answer_is_not_ended(number: int) -> None:
    machine = healthy()
    FAULTS[number].breaks(machine)
    case = look(machine, LOST)
    found = [failure for failure in failures.detect(case) if failure.number == number]
    state: Any = {**case.state, "inside": {**case.state["inside"], "facts": HANGS}}
    held = mending.mending(replace(case, state=state), found)
    assert held.held == (number,)
    assert "runs and does not answer" in held.working[0]
    assert held.actions == ()


@pytest.mark.parametrize("section", ["wsl", "inside"])
def test_nothing_is_ended_where_it_is_not_known_what_runs(section: str) -> None:
    machine = healthy()
    FAULTS[31].breaks(machine)
    case = look(machine, LOST)
    found = [failure for failure in failures.detect(case) if failure.number == 31]
    problem = {"error": {"message": "Access is denied.", "id": "x", "hresult": "0x80070005"}}
    state: Any = {**case.state, section: problem}
    assert mending.mending(replace(case, state=state), found).held == (31,)


def test_a_wsl_that_is_down_is_started_anew() -> None:
    machine = healthy()
    FAULTS[8].breaks(machine)
    found = todo(look(machine))
    assert found.held == ()
    assert "service_restart" in {action.kind for action in found.actions}
