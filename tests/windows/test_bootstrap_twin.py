"""The bootstrap's steps on a simulated PC: what they leave, a second run, -WhatIf, -Undo, power lost anywhere."""

from __future__ import annotations

import base64
import copy
import re
from typing import Any

import pytest

from gpurig.windows import bootstrap
from tests.windows.model.bootstrap import FOLDER, NOTED, STEPS, WIDE, Bootstrap
from tests.windows.model.fresh import fresh
from tests.windows.model.fresh_network import rule
from tests.windows.model.fresh_sshd import ADMIN_KEYS, CONFIG, HOST_KEY
from tests.windows.model.pc import Machine, PowerLostError, PowerShellError
from tests.windows.rounds import converge, look

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOmRsB2qsKkN2IdJjFFmfOfOXtf4qazKV8NdEXHNvqVv gpurig"
THEIRS = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPyH0gB1Z0Kk0m5cYd2W0sT2r9cZ3o5t5n9mM5l3b2Qx somebody"


def script(**changes: Any) -> str:
    given = {"host": "home", "user": "me", "public_key": KEY, "allow_from": ("192.168.1.0/24",), "port": 22, **changes}
    return bootstrap.render(**given)


def bare() -> Machine:
    """Windows as it comes: no OpenSSH server."""
    machine = Machine(fresh())
    data = machine.data
    data["files"], data["acls"], data["registry"], data["sshd"] = {}, {}, {}, {}
    del data["services"]["sshd"], data["firewall"]["rules"]["gpurig-ssh"], data["firewall"]["rules"][WIDE]
    return machine


def with_sshd() -> Machine:
    """A PC whose owner uses sshd already, in his own way."""
    machine = bare()
    config = b"# Mine \xe4\r\nPasswordAuthentication yes\r\nAllowUsers me\r\n"  # of an old code page
    machine.data["files"] |= {
        CONFIG: base64.b64encode(config).decode(),
        ADMIN_KEYS: base64.b64encode(f"{THEIRS}\r\n".encode()).decode(),
        HOST_KEY: fresh()["files"][HOST_KEY],
    }
    machine.data["services"]["sshd"] = {"state": "running", "start": "manual"}
    machine.data["firewall"]["rules"][WIDE] = rule("22", "any", display="OpenSSH SSH Server (sshd)")
    machine.data["registry"]["SOFTWARE\\OpenSSH"] = {"DefaultShell": "C:\\Program Files\\PowerShell\\7\\pwsh.exe"}
    return machine


def without_leftovers(data: dict[str, Any]) -> dict[str, Any]:
    """What -Undo promises to restore: all but our folder, the host key, and what sshd itself made at its first start."""
    kept = copy.deepcopy(data)
    kept["acls"].pop(FOLDER, None)
    kept["acls"].pop(ADMIN_KEYS, None)
    if "sshd" not in kept["services"]:
        kept["files"] = {path: text for path, text in kept["files"].items() if path not in (CONFIG, HOST_KEY)}
    kept["registry"] = {path: values for path, values in kept["registry"].items() if values}
    return kept


def steps_of(text: str) -> list[str]:
    return re.findall(r"\bStep (?:\"[^\"]*\"|'[^']*'|\$\w+) (?:\"(?:[^\"`]|`.)*\"|'[^']*'|\$\w+)", text)


def test_the_twin_has_the_steps_of_the_script_in_their_order() -> None:
    undo, _, do = script().partition("\ntry { $sid = ")
    undo = undo.partition("\nif ($Undo) {")[2]
    signs = {
        "undo": (
            "gpurig-ssh' 'removed",
            "$wide",
            "DefaultShell",
            "$admins",
            "$config",
            "OpenSSH Server",
            "service sshd",
            "$noted",
        ),
        "do": (
            "$folder",
            "OpenSSH Server",
            "$wide",
            "service sshd",
            "$config",
            "$admins 'our key",
            "$admins 'for",
            "DefaultShell",
            "gpurig-ssh",
        ),
    }
    for half, text in (("undo", undo), ("do", do)):
        found = steps_of(text)
        assert len(found) == len(STEPS[half]), found
        for sign, step in zip(signs[half], found, strict=True):
            assert sign in step


def test_the_twin_goes_in_that_order_and_leaves_none_out() -> None:
    done, undone = set[str](), set[str]()
    for made in (bare, with_sshd):
        machine = made()
        do, undo = Bootstrap(machine, script()).run(), Bootstrap(machine, script()).run(undo=True)
        assert do == sorted(do, key=STEPS["do"].index)
        assert undo == sorted(undo, key=STEPS["undo"].index)
        done, undone = done | set(do), undone | set(undo)
    assert (done, undone) == (set(STEPS["do"]), set(STEPS["undo"]))


@pytest.mark.parametrize("made", [bare, with_sshd])
def test_afterwards_keys_alone_get_in_from_the_range(made: Any) -> None:
    machine = made()
    Bootstrap(machine, script()).run()
    state = look(machine, "sshd", "network")
    config = base64.b64decode(state["sshd"]["config"] or "").decode("latin-1")
    assert config.startswith("# gpurig: begin\r\nPubkeyAuthentication yes\r\nPasswordAuthentication no\r\n")
    assert "Match Group administrators" in config
    assert KEY in (state["sshd"]["admin_keys"] or [])
    rules = {one["name"]: one for one in state["network"]["firewall_rules"] if "22" in one["ports"] and one["enabled"]}
    assert list(rules) == ["gpurig-ssh"]
    assert machine.data["services"]["sshd"] == {"state": "running", "start": "auto"}


@pytest.mark.parametrize("made", [bare, with_sshd])
def test_a_second_run_changes_nothing(made: Any) -> None:
    machine = made()
    assert Bootstrap(machine, script()).run()
    before = machine.snapshot()
    assert Bootstrap(machine, script()).run() == []
    assert machine.snapshot() == before


@pytest.mark.parametrize("made", [bare, with_sshd])
def test_what_if_tells_and_changes_nothing(made: Any) -> None:
    machine = made()
    before = machine.snapshot()
    assert "rule" in Bootstrap(machine, script(), what_if=True).run()
    assert machine.snapshot() == before


@pytest.mark.parametrize("made", [bare, with_sshd])
def test_undo_takes_all_of_it_back(made: Any) -> None:
    machine = made()
    before = without_leftovers(machine.snapshot())
    Bootstrap(machine, script()).run()
    Bootstrap(machine, script(allow_from=("10.0.0.0/8",))).run()  # its notes are of the first run
    Bootstrap(machine, script()).run(undo=True)
    assert without_leftovers(machine.snapshot()) == before
    assert Bootstrap(machine, script()).run(undo=True) == []


@pytest.mark.parametrize("made", [bare, with_sshd])
def test_power_lost_anywhere_hurts_neither_the_next_run_nor_undo(made: Any) -> None:
    whole = made()
    Bootstrap(whole, script()).run()
    original = without_leftovers(made().snapshot())
    for moment in range(1, whole.steps + 1):
        machine = made()
        machine.power_lost_at = moment
        with pytest.raises(PowerLostError):
            Bootstrap(machine, script()).run()
        Bootstrap(machine, script()).run()
        assert machine.data["firewall"] == whole.data["firewall"], moment
        assert {**machine.data["files"], NOTED: ""} == {**whole.data["files"], NOTED: ""}, moment
        Bootstrap(machine, script()).run(undo=True)
        assert without_leftovers(machine.snapshot())["files"] == original["files"], moment
        assert without_leftovers(machine.snapshot())["firewall"] == original["firewall"], moment


def test_another_range_or_port_changes_just_that() -> None:
    machine = bare()
    Bootstrap(machine, script()).run()
    assert Bootstrap(machine, script(allow_from=("192.168.1.0/24", "100.64.0.0/10"))).run() == ["rule"]
    assert Bootstrap(machine, script(port=2200)).run() == ["config", "rule"]


def test_without_an_administrators_rights_nothing_is_done() -> None:
    machine = bare()
    machine.data["login"]["elevated"] = False
    before = machine.snapshot()
    with pytest.raises(PowerShellError):
        Bootstrap(machine, script()).run()
    assert machine.snapshot() == before


def test_site_yml_then_finds_the_rule_as_it_wants_it() -> None:
    machine = bare()
    Bootstrap(machine, script()).run()
    plan = converge(machine, "network", {"win_network_allow_from": ["192.168.1.0/24"]})
    assert [action.kind for action in plan.actions if action.kind.startswith("firewall")] == []


def test_undo_goes_back_to_what_was_before_the_first_run() -> None:
    machine = with_sshd()
    before = without_leftovers(machine.snapshot())
    Bootstrap(machine, script()).run()
    machine.data["registry"]["SOFTWARE\\OpenSSH"]["DefaultShell"] = "C:\\Windows\\System32\\cmd.exe"
    assert Bootstrap(machine, script()).run() == ["shell"]
    Bootstrap(machine, script()).run(undo=True)
    assert without_leftovers(machine.snapshot()) == before
