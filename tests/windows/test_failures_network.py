"""The way into WSL as the doctor judges it: entries of ours and of others, who is let in, mirrored networking."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.windows import failures, mending, topics
from gpurig.windows.failures import Case, Failure
from tests.windows import rounds
from tests.windows.model import faults, netsh
from tests.windows.model.faults import LOST
from tests.windows.model.healthy import healthy
from tests.windows.model.pc import Machine
from tests.windows.test_failures import look, numbers

DIRECT: dict[str, Any] = {"reach": "direct"}

MIRRORED: dict[str, Any] = {"reach": "direct", "wsl": {"networking": "mirrored"}}


def entries(machine: Machine) -> dict[str, Any]:
    """The portproxy's registry."""
    return machine.registry(netsh.KEY.format("v4tov4"))


def found(case: Case, number: int) -> Failure:
    return next(failure for failure in failures.detect(case) if failure.number == number)


@pytest.mark.parametrize(
    ("entry", "listen", "target"),
    [
        (DIRECT, "192.168.1.50/2222", "192.168.1.77/22"),
        ({}, "127.0.0.1/2222", "192.168.1.77/22"),
        ({"ports": {8000: "192.168.1.0/24"}}, "127.0.0.1/8000", "192.168.1.9/80"),
        (MIRRORED, "0.0.0.0/2222", "192.168.1.77/22"),
    ],
)
def test_an_entry_of_somebody_else_is_named_and_stays(entry: dict[str, Any], listen: str, target: str) -> None:
    machine = healthy(**entry)
    entries(machine)[listen] = target
    before = dict(entries(machine))
    case = look(machine, **entry)
    named = found(case, 11)
    assert f"{listen} and leads to {target}" in named.found
    assert named.actions == ()
    assert "portproxy set" not in named.fix
    assert f"listenaddress={listen.partition('/')[0]}; otherwise" in named.fix
    rounds.talk(machine, mending.mending(case, failures.detect(case)).actions, {})
    assert entries(machine) == before


def test_what_is_not_ours_is_not_restarted_either() -> None:
    machine = healthy(reach="direct")
    del entries(machine)["0.0.0.0/2222"]
    entries(machine)["192.168.1.50/2222"] = "192.168.1.77/22"
    machine.data["network"]["deaf"].append("192.168.1.50/2222")
    case = look(machine, reach="direct")
    assert numbers(case) == {11}
    assert mending.mending(case, failures.detect(case)).actions == ()


def test_what_somebody_else_listens_for_elsewhere_is_no_concern() -> None:
    machine = healthy(reach="direct")
    entries(machine)["0.0.0.0/9999"] = "192.168.1.77/22"
    assert numbers(look(machine, reach="direct")) == set()


@pytest.mark.parametrize("target", ["172.28.120.45/22", "127.0.0.1/2222", "192.168.1.9/2222"])
def test_an_entry_of_ours_that_leads_elsewhere_is_set_right(target: str) -> None:
    machine = healthy(reach="direct")
    right = dict(entries(machine))
    entries(machine)["0.0.0.0/2222"] = target
    case = look(machine, LOST, reach="direct")
    assert numbers(case) == {11}
    assert "connectport=2222" in found(case, 11).fix
    rounds.talk(machine, mending.mending(case, failures.detect(case)).actions, {})
    assert entries(machine) == right


@pytest.mark.parametrize("ports", [["127.0.0.1:2222"], ["127.0.0.1:2222", "[::1]:2222"]])
def test_an_sshd_for_the_linux_alone_serves_a_jump_and_nobody_else(ports: list[str]) -> None:
    jump, direct = healthy(), healthy(reach="direct")
    for machine in (jump, direct):
        faults.told(machine, sshd_port=ports)
    assert numbers(look(jump)) == set()
    case = look(direct, reach="direct")
    assert numbers(case) == {19}
    assert f"listens at {', '.join(ports)} only" in found(case, 19).found


def test_a_port_that_is_for_others_is_judged_by_them() -> None:
    entry: dict[str, Any] = {"ports": {8000: "10.9.0.0/24"}}
    machine = healthy(**entry)
    assert numbers(look(machine, **entry)) == set()
    machine.data["firewall"]["rules"]["gpurig-wsl-8000"]["remote"] = ["192.168.1.0/24"]
    assert "not 10.9.0.0/24" in found(look(machine, **entry), 13).found


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"remote": ["10.9.0.0/16"]}, "lets 10.9.0.0/16 in to port 2222 of WSL, not us (192.168.1.20)"),
        ({"enabled": False}, "lets nobody in to port 2222"),
        ({"ports": ["3000-4000"]}, "lets nobody in to port 2222"),
        ({"ports": ["2000-3000"]}, ""),
        ({"ports": ["Any"], "remote": ["Any"]}, ""),
    ],
)
def test_a_rule_of_hyper_v_is_for_its_ports_and_addresses(rule: dict[str, Any], said: str) -> None:
    machine = healthy(**MIRRORED)
    machine.data["hyperv"]["rules"]["gpurig-wsl-2222"] |= rule
    case = look(machine, **MIRRORED)
    assert numbers(case) == ({14} if said else set())
    assert not said or said in found(case, 14).found


@pytest.mark.parametrize(("value", "named"), [(0xFF, True), (0xFFFFFFFF, True), (0x20, False)])
def test_ipv6_is_off_however_it_is_written(value: int, named: bool) -> None:
    machine = healthy(**MIRRORED)
    machine.data.setdefault("symptoms", {})["ipv6_components"] = value
    machine.data["wsl"]["networking"] = "nat"
    faults.told(machine, networking_mode="nat")
    assert ("IPv6" in found(look(machine, **MIRRORED), 15).found) is named


def test_mirrored_wsl_without_a_network_is_named_and_mended() -> None:
    machine = healthy(**MIRRORED)
    faults.linux(machine).deaf = True
    case = look(machine, **MIRRORED)
    assert numbers(case) == {16}
    rounds.talk(machine, mending.mending(case, failures.detect(case)).actions, {})
    assert numbers(look(machine, **MIRRORED)) == set()


def test_what_the_doctor_names_of_the_portproxy_the_playbook_says_too() -> None:
    machine = healthy(reach="direct")
    entries(machine)["192.168.1.50/2222"] = "192.168.1.77/22"
    case = look(machine, reach="direct")
    refused = topics.decide("network", case.state, case.variables).refusals[0]
    assert refused.text.startswith(found(case, 11).found)
    assert refused.key in found(case, 11).fix
