"""The keeper as the doctor judges it: never well where `rig verify` says otherwise, and not at all where nobody wants one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gpurig.windows import failures, mending, topics
from gpurig.windows.failures import Case
from gpurig.windows.questions import TASK
from gpurig.windows.topics import keeper
from tests.windows import rounds
from tests.windows.model import wsl_vm
from tests.windows.model.faults import FAULTS, LOST
from tests.windows.model.healthy import NAME, healthy, variables
from tests.windows.model.pc import Machine
from tests.windows.test_failures import look, numbers

Breaks = Callable[[Machine], object]


def written(machine: Machine, old: str, new: str) -> None:
    task = machine.data["tasks"][TASK]
    assert old in task["xml"]
    task["xml"] = task["xml"].replace(old, new)


def ended(machine: Machine, result: int) -> None:
    machine.data["tasks"][TASK].update(state="ready", result=result)


def foreign(machine: Machine) -> None:
    machine.data["files"][keeper.SCRIPT] = base64.b64encode(b"# an older keeper\n").decode()


def opened(machine: Machine) -> None:
    machine.data["acls"][keeper.SCRIPT]["sids"] = ["S-1-5-18", "S-1-5-32-544", "S-1-5-32-545"]


def stolen(machine: Machine) -> None:
    machine.data["acls"][keeper.SCRIPT]["owner"] = "S-1-5-21-1-2-3-1005"


def idle(machine: Machine) -> None:
    """Nobody has started it for a quarter of an hour."""
    long_ago = datetime.fromisoformat(machine.data["now"]) - timedelta(minutes=15)
    machine.data["tasks"][TASK].update(state="ready", result=0, last_run=long_ago.isoformat())


WRONG: dict[str, tuple[Breaks, str]] = {
    "ended with 1": (lambda pc: ended(pc, 1), "ended with 1 (it failed); its log ends with"),
    "ended with 3": (lambda pc: ended(pc, 3), "ended with 3 (it found no WSL)"),
    "ended with 4": (lambda pc: ended(pc, 4), "ended with 4 (the distribution did not start)"),
    "ended with an odd code": (lambda pc: ended(pc, 0xC000013A), "ended with 0xC000013A"),
    "never started again": (idle, "it does not run, and was last started"),
    "no rights": (lambda pc: written(pc, "HighestAvailable", "LeastPrivilege"), "without an administrator's rights"),
    "too rarely": (lambda pc: written(pc, "PT2M", "PT2H"), "Repetition/Interval: PT2H, wanted PT2M"),
    "ends its like": (lambda pc: written(pc, "IgnoreNew", "StopExisting"), "StopExisting, wanted IgnoreNew"),
    "a day": (lambda pc: written(pc, "PT0S", "P1D"), "Windows ends it after P1D"),
    "another account by name": (
        lambda pc: written(pc, pc.user["sid"], "OTHER\\bob"),
        "UserId: OTHER\\bob",
    ),
    "another script": (foreign, "keeper.ps1 is not that of this gpurig"),
    "no settings": (lambda pc: pc.data["files"].pop(keeper.SETTINGS), "keeper.json is not there"),
    "users may write": (opened, "others than administrators may change"),
    "somebody else's": (stolen, "belongs to S-1-5-21-1-2-3-1005"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_keeper_that_is_not_as_wanted_is_named(name: str) -> None:
    breaks, said = WRONG[name]
    machine = healthy()
    breaks(machine)
    case = look(machine)
    assert numbers(case) == {25}
    failure = failures.detect(case)[0]
    assert said in failure.found, failure.found


@pytest.mark.parametrize("name", sorted(set(WRONG) - {"somebody else's"}))
def test_it_is_mended_and_then_as_the_role_wants_it(name: str) -> None:
    machine = healthy()
    WRONG[name][0](machine)
    case = look(machine)
    answer = rounds.talk(machine, mending.mending(case, failures.detect(case)).actions, {})
    assert answer.failed() is None, answer.failed()
    after = look(machine)
    assert numbers(after) == set()
    assert topics.decide("keeper", after.state, after.variables).actions == ()


def test_a_keeper_between_two_starts_is_well() -> None:
    machine = healthy()
    ended(machine, 0)
    assert numbers(look(machine)) == set()


def test_what_keeps_wsl_down_is_not_blamed_on_the_keeper() -> None:
    machine = healthy()
    FAULTS[7].breaks(machine)
    ended(machine, 4)
    assert numbers(look(machine)) == {7}


def without_keeper(machine: Machine) -> Case:
    own = {**variables(), "win_keeper_enabled": False}
    rounds.converge(machine, "keeper", own)
    return replace(look(machine, LOST), variables=own)


def test_a_keeper_that_nobody_wants_is_not_missed() -> None:
    assert numbers(without_keeper(healthy())) == set()


def test_where_nobody_wants_a_keeper_none_is_started() -> None:
    machine = healthy()
    wsl_vm.start(machine, NAME)
    FAULTS[31].breaks(machine)
    case = without_keeper(machine)
    assert numbers(case) == {31}
    answer = rounds.talk(machine, mending.mending(case, failures.detect(case)).actions, {})
    assert answer.failed() is None, answer.failed()
    assert machine.data["tasks"] == {}
    assert NAME not in machine.data["wsl"]["running"]
