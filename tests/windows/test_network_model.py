"""The simulated PC's network is as strict as Windows': it refuses what Windows refuses, in Windows' words."""

from __future__ import annotations

import pytest

from gpurig.windows.actions import Action
from gpurig.windows.wire import Outcome
from tests.windows.homes import LAPTOP, VARIABLES, home
from tests.windows.model import clock, firewall, netsh, network, scheduler
from tests.windows.model.fresh_network import rule
from tests.windows.model.pc import Machine, PowerShellError
from tests.windows.rounds import converge, talk


def done(machine: Machine, action: Action) -> Outcome:
    return talk(machine, [action], {}).outcomes[0]


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en-US", "The system cannot find the file specified."),
        ("de-DE", "Das System kann die angegebene Datei nicht finden."),
    ],
)
def test_netsh_fails_for_an_entry_that_is_not_there_and_our_script_does_not_ask(language: str, said: str) -> None:
    machine = home(language=language)
    assert netsh.portproxy_delete(machine, "0.0.0.0/2222") == (1, said)
    gone = done(machine, Action("portproxy_delete", {"listen_address": "0.0.0.0", "listen_port": 2222}))  # noqa: S104  # a proxy's
    assert (gone.ok, gone.changed) == (True, False)


@pytest.mark.parametrize("language", ["en-US", "de-DE", "zh-CN"])
def test_the_excluded_ports_are_a_table_in_the_display_language(language: str) -> None:
    machine = home(language=language)
    lines = netsh.excluded(machine).splitlines()
    assert ("Start Port" in lines[3]) == (language == "en-US")
    assert lines[5].split() == ["50000", "50059"]


def test_a_rule_is_made_once() -> None:
    machine = home()
    with pytest.raises(PowerShellError) as raised:
        firewall.new(machine, firewall.host(machine), "gpurig-ssh", rule("22", "any"))
    assert raised.value.problem["hresult"] == firewall.EXISTS


def test_an_address_that_is_none_is_refused() -> None:
    machine = home()
    parameters = {"name": "gpurig-x", "display": "x", "port": 1, "remote": ["home"]}
    refused = done(machine, Action("firewall_set", parameters))
    assert refused.problem is not None
    assert refused.problem["hresult"] == firewall.INVALID


def test_before_22h2_there_is_no_firewall_of_the_vm() -> None:
    refused = done(home(build=22000), Action("hyperv_remove", {"name": "gpurig-wsl-2222"}))
    assert refused.problem is not None
    assert refused.problem["id"] == "CommandNotFoundException"


def test_the_proxy_does_not_listen_where_it_cannot() -> None:
    machine = home()
    converge(machine, "network", {**VARIABLES, "win_network_reach": "direct"})
    for change in (
        {"excluded": [[2222, 2222]]},
        {"programs": [{"address": "0.0.0.0", "port": 2222, "process": "x", "service": ""}]},  # noqa: S104  # a program's
    ):
        before = machine.snapshot()
        machine.data["network"] |= change
        assert not network.reachable(machine, 2222, LAPTOP)
        machine.data = before
    assert network.reachable(machine, 2222, LAPTOP)


def test_a_rule_for_private_networks_does_not_hold_in_a_public_one() -> None:
    machine = home()
    machine.data["firewall"]["rules"]["gpurig-ssh"]["profiles"] = ["private"]
    assert not network.admitted(machine, 22, LAPTOP)
    machine.data["network"]["interfaces"]["Ethernet"]["category"] = "private"
    assert network.admitted(machine, 22, LAPTOP)


@pytest.mark.parametrize("xml", ["<Task", "<Other/>", f'<Task xmlns="{scheduler.SPACE.strip("{}")}"/>'])
def test_a_task_that_windows_does_not_understand_is_refused(xml: str) -> None:
    refused = done(home(), Action("task_register", {"name": "\\gpurig\\x", "xml": xml, "password": ""}))
    assert not refused.ok


def test_a_task_that_is_not_there_cannot_start() -> None:
    refused = done(home(), Action("task_start", {"name": "\\gpurig\\x"}))
    assert refused.problem is not None
    assert refused.problem["hresult"] == "0x80070002"


def test_time_passes() -> None:
    machine = home()
    before = machine.data["now"]
    clock.advance(machine, 60)
    assert machine.data["now"][11:13] != before[11:13]
