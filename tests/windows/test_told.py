"""--diff has something of every step, above all of those that end what runs on the PC."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.windows import topics
from gpurig.windows.actions import Action
from gpurig.windows.plan import Plan
from tests.windows.model.fresh import fresh
from tests.windows.model.healthy import NAME, healthy, variables
from tests.windows.model.installed import text, write
from tests.windows.model.pc import Machine
from tests.windows.rounds import look

GIB = 2**30

TAR = "D:\\home.tar"


def decide(machine: Machine, topic: str, given: dict[str, Any]) -> Plan:
    return topics.decide(topic, look(machine, *topics.sections(topic), variables=given), given)


def lines(plan: Plan) -> list[str]:
    """What a reader of --diff sees: before → after of each step."""
    return [f"{one['before'].strip()} → {one['after'].strip()}" for one in plan.diff()]


@pytest.mark.parametrize("before", ["", "as it is"])
def test_a_step_without_words_of_its_own_is_shown_by_what_it_does(before: str) -> None:
    told = Plan(actions=(Action("service_restart", {"name": "hns"}, "restart HNS", before, before),)).diff()
    assert told == [{"before": "\n", "after": "restart HNS\n"}]
    assert Plan(actions=(Action("wsl_shutdown"),)).diff()[0]["after"] == "wsl_shutdown\n"


@pytest.mark.parametrize("topic", topics.TOPICS)
def test_all_that_is_done_to_a_fresh_pc_is_shown(topic: str) -> None:
    plan = decide(Machine(fresh()), topic, variables(reach="direct", ports={"8000": "192.168.1.0/24"}))
    assert len(plan.diff()) == len(plan.actions) + bool(plan.reboot)
    assert all(one["before"] != one["after"] for one in plan.diff())


def test_a_restart_of_windows_and_a_download_are_shown() -> None:
    told = lines(decide(Machine(fresh()), "wsl", variables()))
    assert told[-1] == "Windows: runs → Windows: restarts, since it enables VirtualMachinePlatform at its next start"
    assert any("fetch https://" in line and ".msi" in line for line in told)


def test_an_end_of_wsl_is_shown() -> None:
    machine = healthy()
    write(machine, text(machine).replace("vmIdleTimeout=-1", "vmIdleTimeout=1000"))
    assert lines(decide(machine, "wslconfig", variables()))[-1] == "WSL: runs → WSL: shut down and started anew"


def test_an_end_of_the_distribution_is_shown() -> None:
    machine = healthy()
    machine.linux[NAME].data["files"]["/etc/wsl.conf"] = ""  # type: ignore[attr-defined]  # the simulated Linux
    told = lines(decide(machine, "linux", variables()))
    assert f"{NAME}: runs → {NAME}: ended and started anew" in told


def test_an_upgrade_that_ends_what_runs_says_so() -> None:
    machine = healthy()
    machine.data["wsl"]["version"] = "2.5.9.0"
    told = lines(decide(machine, "wsl", {**variables(), "win_wsl_upgrade": True}))
    assert told[-1] == f"WSL: 2.5.9.0 → WSL: 2.6.3.0; {NAME} is ended for that"


def test_a_restart_of_a_service_is_shown() -> None:
    machine = healthy(reach="direct")
    machine.data["network"]["deaf"] = ["0.0.0.0/2222"]
    told = lines(decide(machine, "network", variables(reach="direct")))
    assert told[0] == "iphlpsvc: running → iphlpsvc: restarted"
    assert len(told) == 2


def test_what_windows_shall_start_by_itself_is_shown_where_it_runs_already() -> None:
    machine = healthy(reach="direct")
    machine.data["services"]["iphlpsvc"]["start"] = "manual"
    told = lines(decide(machine, "network", variables(reach="direct")))
    assert told[0] == "iphlpsvc: manual, running → iphlpsvc: auto, running"


def test_what_a_move_or_a_smaller_disk_ends_is_shown() -> None:
    machine = healthy()
    given = {**variables(), "win_disk_location": "D:\\wsl", "win_disk_move": True, "win_disk_compact": True}
    machine.data["drives"]["D"] = {"size": 4000 * GIB, "free": 3000 * GIB}
    for disk in machine.data["disks"].values():
        disk["size"] = 300 * GIB
    told = "\n".join(lines(decide(machine, "disk", given)))
    assert f": all files of {NAME}, which is ended for that" in told
    assert "D:\\wsl; it is ended for that" in told
    assert "WSL is shut down for that" in told
