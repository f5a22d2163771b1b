"""The keeper: WSL runs without a log-on, comes back by itself, and our port proxies follow its address."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gpurig.windows import task, topics
from gpurig.windows.plan import Plan
from gpurig.windows.questions import TASK
from gpurig.windows.topics.keeper import SCRIPT, SETTINGS
from tests.windows.homes import LAPTOP, NAME, VARIABLES, home, inside
from tests.windows.model import boot, clock, keeper, netsh, network, scheduler, wsl_vm
from tests.windows.model.fresh import fresh
from tests.windows.model.pc import Machine
from tests.windows.rounds import converge, look, talk

DIRECT = {**VARIABLES, "win_network_reach": "direct"}


def decide(machine: Machine, variables: dict[str, Any] = VARIABLES) -> Plan:
    state = look(machine, *topics.sections("keeper"), variables=variables)
    return topics.decide("keeper", state, variables)


def log(machine: Machine) -> list[str]:
    lines = base64.b64decode(machine.data["files"][keeper.LOG]).decode().splitlines()
    return [json.loads(line)["event"] for line in lines]


def kept() -> Machine:
    """A PC with the keeper and WSL's sshd open to its network."""
    machine = home()
    converge(machine, "keeper", DIRECT)
    converge(machine, "network", DIRECT)
    return machine


class TestInstalled:
    def test_it_runs_as_the_owner_without_a_password(self) -> None:
        machine = home()
        converge(machine, "keeper", VARIABLES)
        xml = machine.data["tasks"][TASK]["xml"]
        assert task.read(xml, "Principals/Principal/UserId") == machine.user["sid"]
        assert task.read(xml, "Principals/Principal/LogonType") == "S4U"
        assert machine.data["tasks"][TASK]["state"] == "running"
        assert log(machine) == ["up"]

    def test_only_administrators_may_change_what_runs_with_their_rights(self) -> None:
        machine = home()
        converge(machine, "keeper", VARIABLES)
        machine.data["acls"][SCRIPT] = {
            "owner": "S-1-5-32-544",
            "sids": ["S-1-5-18", "S-1-5-32-545"],
            "inherited": True,
        }
        plan = converge(machine, "keeper", VARIABLES)
        assert [(action.kind, action.parameters["path"]) for action in plan.actions] == [("acl_set", SCRIPT)]

    def test_a_file_of_somebody_else_is_not_trusted(self) -> None:
        machine = home()
        machine.data["acls"] = {SCRIPT: {"owner": "S-1-5-21-9-9-9-1002", "sids": [], "inherited": True}}
        machine.data["files"][SCRIPT] = ""
        plan = decide(machine)
        assert plan.actions == ()
        assert "S-1-5-21-9-9-9-1002" in plan.refusals[0].text

    def test_an_older_script_is_replaced_and_the_next_start_runs_it(self) -> None:
        machine = kept()
        machine.data["files"][SETTINGS] = base64.b64encode(b'{"distribution": "Other", "seconds": 60}').decode()
        converge(machine, "keeper", DIRECT)
        clock.advance(machine, 4)
        assert machine.data["tasks"][TASK]["state"] == "running"
        assert log(machine)[-1] == "up"

    def test_taken_out_again_nothing_of_it_stays(self) -> None:
        machine = home()
        converge(machine, "keeper", VARIABLES)
        converge(machine, "keeper", {**VARIABLES, "win_keeper_enabled": False})
        assert machine.data["tasks"] == {}
        assert {SCRIPT, SETTINGS} & set(machine.data["files"]) == set()

    def test_a_disabled_task_is_enabled(self) -> None:
        machine = home()
        converge(machine, "keeper", VARIABLES)
        entry = machine.data["tasks"][TASK]
        entry["xml"] = entry["xml"].replace(
            "<Enabled>true</Enabled>\n    <RunOnly", "<Enabled>false</Enabled>\n    <RunOnly"
        )
        assert not scheduler.enabled(machine, TASK)
        converge(machine, "keeper", VARIABLES)
        assert scheduler.enabled(machine, TASK)

    def test_an_account_without_the_right_gets_it(self) -> None:
        machine = home()
        machine.data["denied"] = {scheduler.BATCH: [machine.user["sid"]]}
        talk(machine, decide(machine).actions, {})
        assert look(machine, "keeper", variables=VARIABLES)["keeper"]["result"] == 0x80070569
        plan = converge(machine, "keeper", VARIABLES)
        assert [action.kind for action in plan.actions] == ["logon_right_grant", "task_start"]

    def test_a_password_is_asked_for_and_never_told(self) -> None:
        machine = home()
        wanted = {**VARIABLES, "win_keeper_logon": "password"}
        assert "GPURIG_WINDOWS_PASSWORD" in decide(machine, wanted).refusals[0].text
        wanted["win_keeper_password"] = "hunter2"
        plan = converge(machine, "keeper", wanted)
        assert machine.data["tasks"][TASK]["password"] == "hunter2"
        told = [text for action in plan.actions for text in (action.says, action.before, action.after)]
        assert "hunter2" not in " ".join(told)
        machine.data["passwords"] = {machine.user["sid"]: "changed"}
        boot.boot(machine)
        clock.advance(machine, 3)
        assert machine.data["tasks"][TASK]["result"] == 0x8007052E
        wanted["win_keeper_password"] = "changed"
        converge(machine, "keeper", wanted)
        assert machine.data["tasks"][TASK]["state"] == "running"

    @pytest.mark.parametrize(
        ("variables", "key"),
        [({"win_keeper_distribution": ""}, "wsl.distribution"), ({"win_keeper_every_minutes": 0}, "variables")],
    )
    def test_bad_input_is_refused(self, variables: dict[str, Any], key: str) -> None:
        plan = decide(home(), {**VARIABLES, **variables})
        assert plan.actions == ()
        assert [refusal.key for refusal in plan.refusals] == [key]


class TestAtWork:
    def test_without_it_wsl_goes_idle(self) -> None:
        machine = home()
        clock.advance(machine, 1)
        assert machine.data["wsl"]["running"] == []

    def test_wsl_stays_up(self) -> None:
        machine = kept()
        clock.advance(machine, 60)
        assert machine.data["wsl"]["running"] == [NAME]
        assert log(machine) == ["up"]

    def test_wsl_comes_with_windows_and_nobody_logged_on(self) -> None:
        machine = kept()
        boot.boot(machine)
        assert not network.reachable(machine, 2222, LAPTOP)
        clock.advance(machine, 2)
        assert network.reachable(machine, 2222, LAPTOP)

    def test_wsl_that_was_shut_down_comes_back(self) -> None:
        machine = kept()
        wsl_vm.shutdown(machine)
        clock.advance(machine, 3)
        assert network.reachable(machine, 2222, LAPTOP)

    def test_a_moved_address_is_followed_within_one_look(self) -> None:
        machine = kept()
        netsh.portproxy_set(machine, "0.0.0.0/9999", "192.168.1.9/22")
        machine.move_address()
        assert not network.reachable(machine, 2222, LAPTOP)
        clock.advance(machine, 1)
        assert network.reachable(machine, 2222, LAPTOP)
        assert netsh.entries(machine)["0.0.0.0/9999"] == "192.168.1.9/22"
        assert log(machine) == ["up", "portproxy"]

    def test_a_stopped_ip_helper_is_started(self) -> None:
        machine = kept()
        machine.data["services"]["iphlpsvc"]["state"] = "stopped"
        clock.advance(machine, 1)
        assert network.reachable(machine, 2222, LAPTOP)

    def test_an_entry_that_is_being_taken_out_is_left_alone(self) -> None:
        machine = kept()
        machine.registry("HKLM:\\SOFTWARE\\gpurig")["portproxy"] = "-0.0.0.0/2222"
        machine.move_address()
        clock.advance(machine, 5)
        assert netsh.entries(machine) == {"0.0.0.0/2222": "172.28.120.45/2222"}

    def test_what_the_network_left_open_it_finishes(self) -> None:
        machine = home()
        converge(machine, "keeper", DIRECT)
        inside(machine).silent = True
        converge(machine, "network", DIRECT)
        assert not network.reachable(machine, 2222, LAPTOP)
        clock.advance(machine, 1)
        assert network.reachable(machine, 2222, LAPTOP)

    def test_it_does_not_touch_proxies_while_wsl_is_mirrored(self) -> None:
        machine = kept()
        before = dict(netsh.entries(machine))
        machine.data["wsl"]["networking"] = "mirrored"
        clock.advance(machine, 5)
        assert netsh.entries(machine) == before

    def test_it_stays_away_while_somebody_works_on_the_disk(self) -> None:
        machine = kept()
        machine.data["files"][keeper.PAUSE] = ""
        wsl_vm.shutdown(machine)
        clock.advance(machine, 10)
        assert machine.data["wsl"]["running"] == []
        del machine.data["files"][keeper.PAUSE]
        clock.advance(machine, 2)
        assert machine.data["wsl"]["running"] == [NAME]

    def test_as_system_it_gives_up_with_a_reason(self) -> None:
        machine = home()
        machine.data["users"]["SYSTEM"] = {"sid": "S-1-5-18", "profile": "C:\\", "registry": {}}
        converge(machine, "keeper", VARIABLES)
        scheduler.remove(machine, TASK)
        scheduler.register(machine, TASK, task.render(task.Task(SCRIPT, "S-1-5-18", "ServiceAccount")), "")
        scheduler.start(machine, TASK)
        assert machine.data["tasks"][TASK]["result"] == keeper.AS_SYSTEM
        converge(machine, "keeper", VARIABLES)
        assert machine.data["tasks"][TASK]["state"] == "running"

    def test_a_second_windows_user_has_no_such_distribution(self) -> None:
        machine = home()
        machine.data["users"]["you"] = {"sid": "S-1-5-21-9-9-9-1002", "profile": "C:\\Users\\you", "registry": {}}
        converge(machine, "keeper", VARIABLES)
        wsl_vm.shutdown(machine)
        machine.data["tasks"].clear()
        scheduler.register(machine, TASK, task.render(task.Task(SCRIPT, "S-1-5-21-9-9-9-1002")), "")
        scheduler.start(machine, TASK)
        assert machine.data["tasks"][TASK]["result"] == keeper.NO_START


def test_a_pc_without_wsl_is_told_by_the_keepers_own_log() -> None:
    machine = Machine(fresh())
    talk(machine, decide(machine).actions, {})
    assert machine.data["tasks"][TASK]["result"] == keeper.NO_WSL
    assert log(machine) == ["failed"]
