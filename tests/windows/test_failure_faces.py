"""The other faces of the failures of a PC: each is known by more than one sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gpurig.catalogue import ROOT
from gpurig.windows import failures, mending
from tests.windows import rounds
from tests.windows.model import boot, clock, faults, fresh_network
from tests.windows.model.faults import FAULTS, fails
from tests.windows.model.fresh_sshd import ADMIN_KEYS
from tests.windows.model.healthy import healthy
from tests.windows.model.pc import Machine
from tests.windows.test_failures import look


def program(port: int) -> dict[str, Any]:
    return {"address": "0.0.0.0", "port": port, "process": "other", "service": ""}  # noqa: S104 (the model's)


def rule(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = machine.data["firewall"]["rules"]["gpurig-ssh"]
    return found


def against(ports: str = "22") -> dict[str, Any]:
    return fresh_network.rule(ports, "any", action="Block", display="Somebody's")


def disable(machine: Machine) -> None:
    task = machine.data["tasks"]["\\gpurig\\keeper"]
    settings = task["xml"].rindex("<Enabled>true</Enabled>")
    task["xml"] = task["xml"][:settings] + task["xml"][settings:].replace("true", "false", 1)


def ended(machine: Machine, result: int) -> None:
    machine.data["tasks"]["\\gpurig\\keeper"].update(result=result, state="ready")


def waiting(machine: Machine) -> None:
    machine.data["features"]["VirtualMachinePlatform"] = "disabled"
    machine.data["pending"] = ["VirtualMachinePlatform"]


def homeless(machine: Machine) -> None:
    faults.linux(machine).changes["address"] = ""
    faults.told(machine, address="")


def bare(machine: Machine) -> None:
    faults.config(machine, lambda _: "")
    machine.data["tasks"].clear()


def unplugged(machine: Machine) -> None:
    machine.data["battery"] = True
    faults.task(machine, "DisallowStartIfOnBatteries", "true")


def grown(machine: Machine) -> None:
    for disk in machine.data["disks"].values():
        disk["size"] = 400 * 2**30
    machine.data["drives"]["C"]["free"] = 20 * 10**9


VARIANTS: dict[str, tuple[int, Callable[[Machine], object]]] = {
    "WSL too old": (1, lambda pc: pc.data["wsl"].update(version="2.1.5.0")),
    "no keeper and default timers": (2, bare),
    "hypervisor off at boot": (6, lambda pc: pc.data.update(hypervisor_launch="off")),
    "feature off": (6, lambda pc: pc.data["features"].update(VirtualMachinePlatform="disabled")),
    "feature waits for a restart": (6, waiting),
    "WSL says that there is no hypervisor": (6, fails("HCS_E_HYPERV_NOT_INSTALLED")),
    "Windows 10 without its own feature": (7, lambda pc: pc.data.update(build=19045)),
    "WSL's service is not registered": (7, lambda pc: pc.data["services"].pop("WSLService")),
    "WSL says 0x8000FFFF": (7, fails("E_UNEXPECTED")),
    "listener gone": (12, lambda pc: pc.data["network"]["deaf"].append("0.0.0.0/2222")),
    "port excluded": (12, lambda pc: pc.data["network"]["excluded"].append([2200, 2299])),
    "port taken": (12, lambda pc: pc.data["network"]["programs"].append(program(2222))),
    "a rule against us": (13, lambda pc: pc.data["firewall"]["rules"].update(other=against())),
    "a range of ports against us": (13, lambda pc: pc.data["firewall"]["rules"].update(other=against("20-25"))),
    "no rule": (13, lambda pc: pc.data["firewall"]["rules"].pop("gpurig-ssh")),
    "rule of another network": (13, lambda pc: rule(pc)["profiles"].__setitem__(0, "domain")),
    "rule for others": (13, lambda pc: rule(pc)["remote"].__setitem__(0, "10.9.0.0/255.255.0.0")),
    "all blocked": (13, lambda pc: pc.data["firewall"]["profiles"]["public"].update(block_all=True)),
    "policy ignores rules": (13, lambda pc: pc.data["firewall"]["profiles"]["public"].update(local_rules=False)),
    "no address": (16, homeless),
    "clock ahead": (17, lambda pc: faults.late(pc, -600)),
    "ICS disabled, and works": (18, lambda pc: pc.data["services"]["SharedAccess"].update(start="disabled")),
    "sshd configured wrongly": (19, lambda pc: faults.told(pc, sshd_config_ok=0, sshd_port=[])),
    "no host keys": (19, lambda pc: faults.told(pc, host_key=[], sshd_port=[], sshd_active=0)),
    "sshd on another port": (19, lambda pc: faults.told(pc, sshd_port=["0.0.0.0:22"])),
    "Linux driver": (21, lambda pc: faults.told(pc, nvidia_package=["nvidia-utils-550", "libnvidia-compute-550"])),
    "TCC": (21, lambda pc: pc.data.update(gpu={"model": "TCC"})),
    "driver broken on Windows": (21, lambda pc: pc.data.update(gpu={"state": 43})),
    "nvidia-smi hangs": (21, lambda pc: faults.told(pc, nvidia_smi_code=124)),
    "WSL not restarted": (23, lambda pc: faults.config(pc, lambda text: text.replace("processors=22", "processors=4"))),
    "WSL's NAT failed": (23, faults.fell_back),
    "no task": (25, lambda pc: pc.data["tasks"].clear()),
    "task disabled": (25, disable),
    "only while logged on": (25, lambda pc: faults.task(pc, "LogonType", "InteractiveToken")),
    "no batch right": (25, lambda pc: ended(pc, 0x80070569)),
    "not on battery": (25, unplugged),
    "Linux' disk full": (27, lambda pc: faults.told(pc, disk_free_bytes=10**8)),
    "disk never shrank": (27, grown),
    "all memory for WSL": (28, lambda pc: faults.told(pc, memory_bytes=63 * 2**30)),
    "no key file": (30, lambda pc: pc.data["files"].pop(ADMIN_KEYS)),
}
"""The other faces of these failures."""


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_failure_has_many_faces(variant: str) -> None:
    number, breaks = VARIANTS[variant]
    machine = healthy(reach="direct")
    breaks(machine)
    found = failures.detect(look(machine, reach="direct"))
    assert number in {failure.number for failure in found}, found
    others = {failure.number for failure in found} - {number}
    assert others <= COMPANIONS.get(variant, set()), found


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_offered_mends_it_and_nothing_else_is_offered(variant: str) -> None:
    number, breaks = VARIANTS[variant]
    machine = healthy(reach="direct")
    breaks(machine)
    case = look(machine, reach="direct")
    failure = next(one for one in failures.detect(case) if one.number == number)
    assert bool(failure.actions) is (variant in MENDED | TOLD)
    answer = rounds.talk(machine, mending.mending(case, [failure]).actions, {})
    assert answer.failed() is None, answer.failed()
    if failure.actions and machine.data["pending"]:
        boot.boot(machine)
        clock.advance(machine, 3)
    left = {one.number for one in failures.detect(look(machine, reach="direct"))}
    assert (number not in left) is (variant in MENDED)


MENDED = {
    *("no keeper and default timers", "hypervisor off at boot", "feature off", "Windows 10 without its own feature"),
    *("listener gone", "no rule", "rule of another network", "rule for others", "clock ahead"),
    *("ICS disabled, and works", "nvidia-smi hangs", "WSL not restarted", "WSL's NAT failed"),
    *("no task", "task disabled", "only while logged on", "no batch right", "not on battery"),
}
"""The faces that `--fix` mends; where a feature is enabled, with the restart that the user is told to do."""

TOLD = {"no address", "sshd configured wrongly", "no host keys", "sshd on another port"}
"""For these something is offered too, but the simulated Linux only says that it is so, whatever is done."""


@pytest.mark.parametrize("number", FAULTS)
def test_the_documentation_tells_what_fix_does(number: int) -> None:
    text = (ROOT / "docs" / "windows-failures.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith(f"| {number} |"))
    faces = {VARIANTS[name][0] for name in MENDED}
    assert bool(row.split("|")[-2].strip()) is (FAULTS[number].mends or number in faces), row


COMPANIONS = {
    "all memory for WSL": {23},
    "WSL too old": {23},
    "no keeper and default timers": {25},
    "port excluded": {31},
    "Windows 10 without its own feature": {23},
}
