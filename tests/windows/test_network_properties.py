"""Topics network and keeper on any PC: foreign things stay byte for byte, one round is enough, and no power cut is too much."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gpurig.windows import topics
from tests.windows.homes import LAPTOP, VARIABLES, home, inside
from tests.windows.model import clock, netsh, network
from tests.windows.model.fresh_network import rule
from tests.windows.model.pc import Machine, PowerLostError
from tests.windows.rounds import converge, look

PORTS = st.integers(1, 65535)

FOREIGN_PORTS = st.one_of(st.sampled_from([2221, 2223, 8000, 8001, 2222, 22]), PORTS)

ADDRESSES = st.sampled_from(["0.0.0.0", "*", "127.0.0.1", "192.168.1.50", "10.0.0.7", "localhost"])  # noqa: S104  # a proxy's

ENTRIES = st.dictionaries(
    st.builds("{}/{}".format, ADDRESSES, FOREIGN_PORTS), st.builds("{}/{}".format, ADDRESSES, PORTS), max_size=5
)

NAMES = st.text("abcdefgh-{}0123456789", min_size=1, max_size=12).filter(lambda name: not name.startswith("gpurig-"))

REMOTES = st.sampled_from(["any", "LocalSubnet", "10.0.0.0/255.0.0.0", "192.168.1.20"])

RULES = st.dictionaries(
    NAMES,
    st.builds(
        rule,
        FOREIGN_PORTS.map(str),
        REMOTES,
        enabled=st.booleans(),
        action=st.sampled_from(["Allow", "Block"]),
        group=st.sampled_from(["", "Vendor", "@FirewallAPI.dll,-28752"]),
        profiles=st.sampled_from([["any"], ["private"], ["public", "domain"]]),
    ),
    max_size=5,
)

RANGES = st.sampled_from(["LocalSubnet", "192.168.1.0/24", "192.168.1.20", "10.8.0.0/16"])

WANTED: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "win_network_reach": st.sampled_from(["jump", "direct"]),
        "win_network_networking": st.sampled_from(["nat", "mirrored"]),
        "win_network_allow_from": st.lists(RANGES, min_size=1, max_size=3, unique=True).map(
            lambda some: ["192.168.1.0/24", *some]
        ),
        "win_network_ports": st.dictionaries(st.sampled_from([8000, 6006, 5000]), RANGES, max_size=3),
    }
)


def foreign(machine: Machine) -> dict[str, Any]:
    """All of the network that is not ours."""
    ours = {one.lstrip("-") for one in str(machine.value("HKLM:\\SOFTWARE\\gpurig", "portproxy") or "").split()}
    return copy.deepcopy(
        {
            "entries": {name: target for name, target in netsh.entries(machine).items() if name not in ours},
            "rules": {
                name: one for name, one in machine.data["firewall"]["rules"].items() if not name.startswith("gpurig-")
            },
            "profiles": machine.data["firewall"]["profiles"],
            "interfaces": machine.data["network"]["interfaces"],
        }
    )


@given(entries=ENTRIES, rules=RULES, steps=st.lists(WANTED, min_size=1, max_size=3))
@settings(max_examples=60)
def test_whatever_is_wanted_in_turn_foreign_things_stay(
    entries: dict[str, str], rules: dict[str, Any], steps: list[dict[str, Any]]
) -> None:
    machine = home()
    if entries:
        machine.registry(netsh.KEY.format("v4tov4")).update(entries)
    machine.data["firewall"]["rules"] |= rules
    before = foreign(machine)
    for wanted in steps:
        variables = {**VARIABLES, **wanted}
        machine.data["wsl"]["networking"] = wanted["win_network_networking"]
        plan = topics.decide("network", look(machine, *topics.sections("network"), variables=variables), variables)
        if not plan.refusals:
            converge(machine, "network", variables)
        assert foreign(machine) == before
        clock.advance(machine, 2)
        assert foreign(machine) == before


@given(entries=ENTRIES, wanted=WANTED)
@settings(max_examples=40)
def test_what_is_not_refused_is_reachable(entries: dict[str, str], wanted: dict[str, Any]) -> None:
    machine = home()
    machine.registry(netsh.KEY.format("v4tov4")).update(entries)
    inside(machine).listening += list(wanted["win_network_ports"])
    machine.data["wsl"]["networking"] = wanted["win_network_networking"]
    variables = {**VARIABLES, **wanted}
    plan = topics.decide("network", look(machine, *topics.sections("network"), variables=variables), variables)
    assume(not plan.refusals)
    converge(machine, "network", variables)
    assert network.reachable(machine, 2222, LAPTOP) == (wanted["win_network_reach"] == "direct")
    assert network.reachable(machine, 2222, "127.0.0.1")
    for port, remote in wanted["win_network_ports"].items():
        assert network.reachable(machine, port, LAPTOP) == (remote != "10.8.0.0/16")


def setups() -> list[dict[str, Any]]:
    """From nothing to much, to something else, and back."""
    some = {**VARIABLES, "win_network_reach": "direct", "win_network_ports": {8000: "LocalSubnet"}}
    return [some, {**some, "win_network_ports": {6006: "LocalSubnet"}}, VARIABLES]


@pytest.mark.parametrize("language", ["en-US", "de-DE"])
def test_power_lost_at_any_moment_the_next_run_converges(language: str) -> None:
    moments = 0
    while True:
        moments += 1
        machine = home(language=language)
        netsh.portproxy_set(machine, "0.0.0.0/9999", "192.168.1.9/22")
        before = foreign(machine)
        machine.steps, machine.power_lost_at = 0, moments
        for variables in setups():
            for topic in ("keeper", "network"):
                try:
                    converge(machine, topic, variables)
                except PowerLostError:
                    converge(machine, "keeper", variables)
                    converge(machine, topic, variables)
            clock.advance(machine, 3)
            assert foreign(machine) == before
            assert network.reachable(machine, 2222, LAPTOP) == ("win_network_reach" in variables)
        if machine.power_lost_at is not None:  # all was done before it could happen
            break
    assert moments > 20
    assert netsh.entries(machine) == {"0.0.0.0/9999": "192.168.1.9/22"}


@given(st.lists(st.sampled_from(["move", "shutdown", "boot", "minute", "hour"]), max_size=8))
@settings(max_examples=40)
def test_whatever_happens_it_is_reachable_again_in_one_round_of_the_keeper(events: list[str]) -> None:
    from tests.windows.model import boot, wsl_vm

    machine = home()
    variables = setups()[0]
    converge(machine, "keeper", variables)
    converge(machine, "network", variables)
    for count, event in enumerate(events):
        match event:
            case "move":
                machine.move_address(f"172.28.99.{count + 2}")
            case "shutdown":
                wsl_vm.shutdown(machine)
            case "boot":
                boot.boot(machine)
            case "minute":
                clock.advance(machine, 1)
            case _:
                clock.advance(machine, 60)
    clock.advance(machine, 3)
    assert network.reachable(machine, 2222, LAPTOP)
