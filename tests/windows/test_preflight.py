"""Topic preflight."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gpurig import catalogue
from gpurig.windows import topics
from tests.windows.model import boot, wsl_vm
from tests.windows.model.fresh import fresh
from tests.windows.model.installed import installed
from tests.windows.model.pc import Machine
from tests.windows.rounds import look

GB = 10**9


def decide(machine: Machine, variables: dict[str, Any] | None = None) -> Any:
    found = topics.decide("preflight", look(machine, *topics.sections("preflight")), variables or {})
    assert found.actions == ()
    return found


def drives(**free: int) -> dict[str, dict[str, int]]:
    return {letter: {"size": 2000 * GB, "free": size * GB} for letter, size in free.items()}


@pytest.mark.parametrize("build", [19045, 22000, 22621, 26100, 26200])
def test_an_ordinary_pc_is_fit(build: int) -> None:
    plan = decide(Machine(fresh(build=build)), {"win_preflight_user": "me"})
    assert plan.refusals == ()
    assert plan.warnings == ()


def test_all_problems_are_told_at_once() -> None:
    machine = Machine(fresh(build=19044, firmware_virtualization=False, drives=drives(C=10)))
    machine.data["login"]["elevated"] = False
    machine.registry("HKLM:\\SOFTWARE\\Policies\\WSL")["AllowWSL"] = 0
    told = [refusal.text for refusal in decide(machine, {"win_preflight_user": "anna"}).refusals]
    for word in ("19044", "firmware", "administrator", "'anna'", "AllowWSL=0", "10 GB free, 24 GB are needed"):
        assert any(word in text for text in told), word
    assert len(told) == 6


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"build": 17763}, "17763"),
        ({"build": 20348, "edition": "ServerStandard"}, "ServerStandard"),
        ({"build": 20349, "edition": "Professional"}, "20349"),
        ({"build": 26100, "edition": "ServerDatacenter"}, "ServerDatacenter"),
        ({"architecture": "x86"}, "x86"),
        ({"firmware_virtualization": False}, "BIOS/UEFI"),
    ],
)
def test_a_pc_that_cannot_run_wsl_2_is_refused(changes: dict[str, Any], text: str) -> None:
    refusals = decide(Machine(fresh(**changes))).refusals
    assert len(refusals) == 1
    assert text in refusals[0].text


@pytest.mark.parametrize("user", ["me", "ME", "HOME-PC\\me", "me@example.org", ""])
def test_a_name_for_the_login_is_its_own(user: str) -> None:
    assert decide(Machine(fresh()), {"win_preflight_user": user}).refusals == ()


def test_another_account_is_refused_with_those_that_there_are() -> None:
    machine = Machine(fresh())
    machine.data["users"]["anna"] = {"sid": "S-1-5-21-1-2-3-1002", "profile": "C:\\Users\\anna", "registry": {}}
    refusal = decide(machine, {"win_preflight_user": "anna"}).refusals[0]
    assert refusal.key == "user"
    assert "me, anna" in refusal.text


@pytest.mark.parametrize(
    ("free", "location", "key"),
    [
        ({"C": 23}, "", "wsl.location"),
        ({"C": 900, "D": 10}, "D:\\WSL\\Ubuntu", "wsl.location"),
        ({"C": 900}, "E:\\WSL\\Ubuntu", "wsl.location"),
        ({"C": 900}, "Ubuntu", "wsl.location"),
        ({"C": 900}, "D:\\", "wsl.location"),
        ({"C": 0, "D": 100}, "D:\\WSL\\Ubuntu", ""),
    ],
)
def test_too_little_room_is_refused(free: dict[str, int], location: str, key: str) -> None:
    plan = decide(Machine(fresh(drives=drives(**free))), {"win_preflight_location": location})
    assert [refusal.key for refusal in plan.refusals] == [key]


def test_a_distribution_that_is_there_needs_no_room() -> None:
    machine = Machine(fresh(drives=drives(C=5)))
    wsl_vm.install(machine, "Ubuntu-24.04", "")
    assert decide(machine).refusals == ()


def test_what_is_only_odd_is_a_warning() -> None:
    machine = Machine(fresh(battery=True, reboot_pending=True))
    values = {"DistributionName": "Ubuntu-24.04", "State": 1}
    registry = {wsl_vm.LXSS.partition(":\\")[2] + "\\{1}": values}
    anna = {"sid": "S-1-5-21-1-2-3-1002", "profile": "C:\\Users\\anna", "registry": registry, "logged_on": True}
    machine.data["users"]["anna"] = anna
    plan = decide(machine)
    assert plan.refusals == ()
    for word in ("battery", "waits for a restart", "another account"):
        assert any(word in line for line in plan.warnings), word


def test_a_section_that_could_not_be_read_is_told() -> None:
    state: Any = look(Machine(fresh()), *topics.sections("preflight"))
    state["machine"] = {"error": {"message": "Invalid class", "id": "", "hresult": "0x80041010"}}
    assert "Invalid class" in topics.decide("preflight", state, {}).refusals[0].text


ENTRY: dict[str, Any] = {
    "win_distribution_name": "Ubuntu-24.04",
    "win_linux_distribution": "Ubuntu-24.04",
    "win_linux_user": "me",
    "win_linux_public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@laptop",
}


def asked(machine: Machine) -> list[Any]:
    """Refusals of all that role win_preflight asks."""
    names = yaml.safe_load((catalogue.ROOT / "roles/win_preflight/defaults/main.yml").read_text())[
        "win_preflight_topics"
    ]
    assert sorted(names) == sorted(topics.TOPICS)
    state = look(machine, *{one: None for name in names for one in topics.sections(name)}, variables=ENTRY)
    return [refusal for name in names for refusal in topics.decide(name, state, ENTRY).refusals]


def test_no_topic_refuses_a_fresh_pc() -> None:
    assert asked(Machine(fresh())) == []


def test_no_topic_stands_in_the_way_of_repairing_a_broken_wsl() -> None:
    """A distribution that cannot start is no reason not to switch the hypervisor on, which lets it start."""
    machine = installed(hypervisor_launch="off")
    boot.boot(machine)
    refusals = asked(machine)
    assert any("does not answer" in one.text for one in refusals)
    assert [one for one in refusals if not one.passing] == []
    assert [action.kind for action in topics.decide("wsl", look(machine, *topics.sections("wsl")), {}).actions] == [
        "bcd_set"
    ]


READ = [(one, section) for one in ("preflight", "wsl", "distribution", "disk") for section in topics.sections(one)]


@pytest.mark.parametrize(("topic", "section"), READ)
def test_what_could_not_be_read_is_refused_and_never_guessed(topic: str, section: str) -> None:
    wishes = {"win_disk_compact": True, "win_disk_location": "D:\\WSL\\Ubuntu", "win_disk_move": True}
    state: Any = look(installed(), *topics.sections(topic), variables=ENTRY)
    state[section] = {"error": {"message": "Invalid class", "id": "", "hresult": "0x80041010"}}
    plan = topics.decide(topic, state, wishes)
    assert plan.refusals
    assert any("Invalid class" in refusal.text for refusal in plan.refusals)
