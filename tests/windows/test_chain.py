"""The lines of the doctor's way: what stands beside a level is what it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gpurig.windows import chain, failures
from tests.windows.model import faults, netsh
from tests.windows.model.faults import FAULTS, WELL
from tests.windows.model.healthy import healthy, variables
from tests.windows.rounds import converge
from tests.windows.test_failures import look


@pytest.mark.parametrize("number", FAULTS)
def test_no_step_that_is_broken_says_what_it_says_when_it_is_well(number: int) -> None:
    entry = dict(FAULTS[number].entry)
    well = {one.what: one.found for one in chain.findings(look(healthy(**entry), **entry)) if one.level == "OK"}
    machine = healthy(**entry)
    FAULTS[number].breaks(machine)
    for link in (WELL, FAULTS[number].link):
        for finding in chain.findings(look(machine, link, **entry)):
            assert finding.level == "OK" or finding.found != well.get(finding.what)
            assert finding.level == "OK" or finding.found != "see below"


def test_a_failure_beside_a_step_that_is_well_gives_the_line_its_name() -> None:
    machine = healthy()
    FAULTS[31].breaks(machine)
    found = {one.what: one for one in chain.findings(look(machine))}
    assert (found["WSL sshd"].level, found["WSL sshd"].found) == ("FAIL", failures.NAMES[31])


def test_a_nat_that_failed_is_explained_where_the_portproxy_is_missing() -> None:
    machine = healthy(reach="direct")
    faults.fell_back(machine)
    netsh.portproxy_delete(machine, "0.0.0.0/2222")
    case = look(machine, reach="direct")
    found = {one.what: one for one in chain.findings(case)}
    explained = found[f"settings: failure 23, {failures.NAMES[23]}"]
    assert (explained.level, "WSL runs with virtioproxy, .wslconfig says" in explained.found) == ("FAIL", True)
    assert found["portproxy"].level == "FAIL"
    assert "see settings below" in found["portproxy"].advice


def test_some_steps_can_be_told_before_the_others() -> None:
    case = look(healthy(), replace(WELL, guest=None))
    assert [one.what for one in chain.findings(case, chain.BEFORE_LOGIN)] == ["reachable"]
    assert [one.what for one in chain.findings(case, chain.BEFORE_GUEST)][-1] == "firewall"


def test_a_port_that_somebody_elses_rule_opens_to_all_is_told() -> None:
    machine = healthy()
    machine.data["firewall"]["rules"]["OpenSSH-Server-In-TCP"]["enabled"] = True
    (found,) = (one for one in chain.findings(look(machine)) if one.what == "firewall")
    assert (found.level, "lets every address reach port 22" in found.found) == ("WARN", True)
    assert "elevated PowerShell" in found.advice


@pytest.mark.parametrize(("name", "tag"), [("gpurig-ssh", "win_network"), ("gpurig-rdp", "win_rdp")])
def test_a_rule_of_ours_that_lets_everybody_in_is_told(name: str, tag: str) -> None:
    entry: dict[str, Any] = {"rdp": "192.168.1.0/24"}
    machine = healthy()
    machine.data["edition"] = "Professional"
    converge(machine, "rdp", variables(**entry))
    machine.data["firewall"]["rules"][name]["remote"] = ["any"]
    (found,) = (one for one in chain.findings(look(machine, **entry)) if one.what == "firewall")
    assert (found.level, name in found.found, tag in found.advice) == ("WARN", True, True)
