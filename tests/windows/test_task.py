"""The keeper's task: what Windows makes of its definition means the same, and what means something else is found."""

from __future__ import annotations

import pytest

from gpurig.windows import task
from gpurig.windows.questions import TASK
from gpurig.windows.topics.keeper import SCRIPT
from tests.windows.homes import VARIABLES, home
from tests.windows.model import scheduler
from tests.windows.rounds import converge

WANTED = task.render(task.Task(SCRIPT, "S-1-5-21-1-2-3-1001"))


def test_what_windows_adds_and_reorders_means_the_same() -> None:
    machine = home()
    converge(machine, "keeper", VARIABLES)
    exported = scheduler.exported(machine, TASK)
    assert exported is not None
    assert exported != machine.data["tasks"][TASK]["xml"]
    assert task.differences(exported, machine.data["tasks"][TASK]["xml"]) == []


def test_a_name_instead_of_the_sid_means_the_same() -> None:
    exported = WANTED.replace("S-1-5-21-1-2-3-1001", "HOME-PC\\Me")
    assert task.differences(exported, WANTED, {"me", "home-pc\\me"}) == []
    assert task.differences(exported, WANTED, {"you"}) != []


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ("PT0S", "P3D", "Settings/ExecutionTimeLimit"),
        ("<ExecutionTimeLimit>PT0S</ExecutionTimeLimit>", "", "Settings/ExecutionTimeLimit"),
        ("<Delay>PT30S</Delay>", "", "Triggers/BootTrigger/Delay"),
        ("<Interval>PT2M</Interval>", "<Interval>PT1H</Interval>", "Triggers/TimeTrigger/Repetition/Interval"),
        ("IgnoreNew", "Parallel", "Settings/MultipleInstancesPolicy"),
        ("<LogonType>S4U</LogonType>", "", "Principals/Principal/LogonType"),
        ("HighestAvailable", "LeastPrivilege", "Principals/Principal/RunLevel"),
        ("StopIfGoingOnBatteries>false", "StopIfGoingOnBatteries>true", "Settings/StopIfGoingOnBatteries"),
        ("EventID=107", "EventID=108", "Triggers/EventTrigger/Subscription"),
        ("</Triggers>", "<LogonTrigger><Enabled>true</Enabled></LogonTrigger></Triggers>", "Triggers/LogonTrigger"),
    ],
)
def test_what_means_something_else_is_found(old: str, new: str, path: str) -> None:
    assert WANTED.replace(old, new) != WANTED
    found = task.differences(WANTED.replace(old, new), WANTED)
    assert found
    assert all(one.startswith(path) for one in found), found


def test_other_words_for_a_period_mean_the_same() -> None:
    assert task.differences(WANTED.replace("PT2M", "PT120S"), WANTED) == []


def test_no_xml_differs() -> None:
    assert task.differences("<Task", WANTED) != []
