"""All topics one after the other, as site.yml does them, on simulated PCs of every kind, without any network."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.windows import packages, topics
from gpurig.windows.plan import Plan
from tests.windows.model import boot, clock, wsl_vm
from tests.windows.model.fresh import fresh
from tests.windows.model.healthy import NAME, GpuLinux, variables
from tests.windows.model.installed import text
from tests.windows.model.pc import Machine, PowerLostError
from tests.windows.rounds import look, talk

DIRECT = {"reach": "direct", "ports": {"8000": "192.168.1.0/24"}, "power": {"wake_on_lan": True}, "wsl": {"memory": 12}}


def pc(**changes: Any) -> Machine:
    linux = GpuLinux()
    linux.machine = Machine(fresh(**changes), linux={NAME: linux})
    return linux.machine


def site(machine: Machine, given: dict[str, Any], *, allow_reboot: bool = True) -> list[str]:
    """What site.yml does on the Windows side. Returns the kinds of all actions. Raises AssertionError where it would fail."""
    done: list[str] = []
    for topic in topics.TOPICS:
        for _ in range(4):
            plan: Plan = topics.decide(topic, look(machine, *topics.sections(topic), variables=given), given)
            assert not plan.refusals, (topic, plan.refusals)
            answer = talk(machine, plan.actions, {})
            assert answer.failed() is None, (topic, answer.failed())
            done += [action.kind for action in plan.actions]
            plan = topics.decide(topic, look(machine, *topics.sections(topic), variables=given), given)
            if plan.reboot:
                assert allow_reboot, plan.reboot
                done.append("reboot")
                boot.boot(machine)
            elif not plan.unsettled():
                break
    return done


def left(machine: Machine, given: dict[str, Any]) -> list[tuple[str, str]]:
    """What the topics would still do."""
    state = look(machine, *{name: None for topic in topics.TOPICS for name in topics.sections(topic)}, variables=given)
    return [(topic, action.says) for topic in topics.TOPICS for action in topics.decide(topic, state, given).actions]


KINDS: dict[str, dict[str, Any]] = {
    "Windows 11 Home": {},
    "German": {"language": "de-DE"},
    "Chinese": {"language": "zh-CN"},
    "Windows 11 Pro": {"edition": "Professional"},
    "Windows 10 22H2": {"build": 19045, "revision": 5000, "powershell": "5.1.19041.5000"},
    "16 GB and 8 processors": {"memory": 16 * 2**30, "processors": 8},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_pc_settles_with_one_restart_and_a_second_run_is_empty(kind: str) -> None:
    machine, given = pc(**KINDS[kind]), variables(**DIRECT)
    assert site(machine, given).count("reboot") == 1
    clock.advance(machine, 5)
    assert left(machine, given) == []
    assert site(machine, given) == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_check_mode_tells_of_wslconfig_on_a_fresh_pc_is_what_is_written(kind: str) -> None:
    machine, given = pc(**KINDS[kind]), variables()
    (told,) = topics.decide("wslconfig", look(machine, *topics.sections("wslconfig"), variables=given), given).actions
    site(machine, given)
    assert told.after == text(machine)
    assert "instanceIdleTimeout=-1" in told.after


@pytest.mark.parametrize("there", [None, "2.6.3.0"], ids=["fresh", "with WSL"])
@pytest.mark.parametrize(
    ("file", "key"), [({"sha256": "00" * 32, "size": 1}, "wsl.distribution.sha256"), (None, "wsl.distribution.url")]
)
def test_a_distribution_that_cannot_be_fetched_stops_all_before_anything_is_changed(
    file: dict[str, Any] | None, key: str, there: str | None
) -> None:
    machine, given = pc(), variables()
    if there:
        machine.data["features"][wsl_vm.VMP] = "enabled"
        machine.data["wsl"]["version"] = there
        boot.boot(machine)
    known = packages.distribution(NAME, look(machine, "machine")["machine"])
    assert known
    machine.data["internet"] = {known.url: file}
    before, boots = machine.snapshot()["features"], machine.data["boots"]
    plan = topics.decide("wsl", look(machine, *topics.sections("wsl")), given)
    failed = talk(machine, plan.actions, {}).failed()
    assert failed is not None
    assert failed.problem is not None
    assert set(machine.data["done"]) <= {"file_fetch"}
    assert (machine.data["features"], machine.data["wsl"]["version"]) == (before, there)
    assert machine.data["boots"] == boots
    fetch = next(one for one in plan.actions if one.parameters["url"] == known.url)
    refusal = packages.refusal(fetch, failed.problem["message"])
    assert refusal.key == key
    assert known.url in refusal.text


def test_mirrored_networking_on_windows_10_is_refused_in_the_same_words_by_all() -> None:
    machine, given = pc(**KINDS["Windows 10 22H2"]), variables(wsl={"networking": "mirrored"})
    said = [
        topics.decide(topic, look(machine, *topics.sections(topic), variables=given), given).refusals
        for topic in ("wslconfig", "network")
    ]
    assert said[0] == said[1]
    assert [one.key for one in said[0]] == ["wsl.networking"]


@pytest.mark.parametrize("entry", [{}, DIRECT], ids=["jump", "direct"])
def test_power_lost_at_any_step_of_the_whole_is_made_up_for_by_the_next_run(entry: dict[str, Any]) -> None:
    given = variables(**entry)
    undisturbed = pc()
    site(undisturbed, given)
    for step in range(1, undisturbed.steps + 1):
        machine = pc()
        machine.power_lost_at = step
        with pytest.raises(PowerLostError):
            site(machine, given)
        site(machine, given)
        clock.advance(machine, 5)
        assert left(machine, given) == [], f"after step {step}"


def test_nothing_of_anybody_elses_is_touched_by_the_whole() -> None:
    machine, given = pc(), variables(**DIRECT)
    proxies = machine.registry("HKLM:\\SYSTEM\\CurrentControlSet\\Services\\PortProxy\\v4tov4\\tcp")
    proxies["0.0.0.0/9999"] = "192.168.1.101/22"
    rules = machine.data["firewall"]["rules"]
    rules["theirs"] = {
        **rules["gpurig-ssh"],
        "display": "gpurig: looks like ours",
        "group": "theirs",
        "ports": ["9999"],
    }
    before = dict(rules["theirs"])
    site(machine, given)
    assert proxies["0.0.0.0/9999"] == "192.168.1.101/22"
    assert rules["theirs"] == before
