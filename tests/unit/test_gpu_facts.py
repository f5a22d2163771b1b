"""The facts about a host's GPUs, from folders that look like a host's and stand-ins for nvidia-smi."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from plugins.modules import gpurig_gpu_facts as facts

RTX_4090 = "NVIDIA GeForce RTX 4090, 24564, 580.95.05, 8.9"
OLD = """\
case $1 in *compute_cap*) echo 'Field "compute_cap" is not a valid field to query.'; exit 2 ;; esac
echo 'Tesla V100-SXM2-16GB, 16160, 470.82.01'
"""


class Machine:
    """A root folder, and a folder of programs."""

    def __init__(self, folder: Path) -> None:
        self.root, self.programs = folder / "root", folder / "bin"
        self.programs.mkdir(parents=True)
        self.write("proc/1/comm", "systemd\n")

    def write(self, path: str, content: str | bytes = "") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def pci(self, address: str, vendor: str, device: str, kind: str) -> None:
        for name, value in (("vendor", vendor), ("device", device), ("class", kind)):
            self.write(f"sys/bus/pci/devices/{address}/{name}", f"{value}\n")

    def program(self, name: str, script: str) -> None:
        file = self.programs / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def facts(self, seconds: int = 5) -> dict[str, Any]:
        return facts.gather(self.root, seconds, str(self.programs))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_machine_with_a_gpu_that_works(machine: Machine) -> None:
    machine.write("sys/module/nvidia/version", "580.95.05\n")
    machine.pci("0000:01:00.0", "0x10de", "0x2684", "0x030000")
    machine.pci("0000:01:00.1", "0x10de", "0x22ba", "0x040300")  # its sound device
    machine.pci("0000:02:00.0", "0x8086", "0x4680", "0x030000")
    machine.program("nvidia-smi", f"echo '{RTX_4090}'")
    machine.program("modinfo", "echo 580.95.05")
    assert machine.facts() == {
        "platform": "native",
        "driver": "580.95.05",
        "installed": "580.95.05",
        "nouveau": False,
        "secure_boot": False,
        "nvswitches": 0,
        "devices": [{"name": "NVIDIA GeForce RTX 4090", "capability": "8.9", "memory": 24564 << 20}],
        "pci": ["10de:2684"],
        "problem": "",
    }


def test_a_machine_without_gpu_is_quick_and_says_so(machine: Machine) -> None:
    start = time.monotonic()
    found = machine.facts()
    assert time.monotonic() - start < 4  # nothing is waited for
    assert (found["devices"], found["pci"], found["installed"]) == ([], [], "")
    assert found["problem"] == "nvidia-smi is not installed"


def test_an_nvidia_smi_that_hangs_is_given_up(machine: Machine) -> None:
    machine.program("nvidia-smi", "exec sleep 30")
    start = time.monotonic()
    found = machine.facts(seconds=1)
    assert time.monotonic() - start < 20
    assert found["problem"] == "nvidia-smi gave no answer within 1 s"


def test_what_a_hanging_nvidia_smi_started_does_not_keep_us(machine: Machine) -> None:
    machine.program("nvidia-smi", "sleep 20")  # a child that holds its output
    start = time.monotonic()
    machine.facts(seconds=1)
    assert time.monotonic() - start < 15


def test_the_reason_why_there_is_no_gpu_is_kept(machine: Machine) -> None:
    machine.program("nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    found = machine.facts()
    assert found["devices"] == []
    assert found["problem"] == "Failed to initialize NVML: Driver/library version mismatch"


def test_an_old_driver_that_knows_no_compute_capability_still_names_its_gpus(machine: Machine) -> None:
    machine.program("nvidia-smi", OLD)
    found = machine.facts()
    assert found["devices"] == [{"name": "Tesla V100-SXM2-16GB", "capability": "", "memory": 16160 << 20}]
    assert found["driver"] == "470.82.01"


def test_a_gpu_without_memory_of_its_own_counts(machine: Machine) -> None:
    machine.program("nvidia-smi", "echo 'NVIDIA GB10, [N/A], 580.95.05, 12.1'")
    assert machine.facts()["devices"] == [{"name": "NVIDIA GB10", "capability": "12.1", "memory": 0}]


@pytest.mark.parametrize(
    ("files", "platform"),
    [
        ({}, "native"),
        ({"proc/1/comm": "init\n"}, "native"),
        ({"proc/1/comm": "sh\n"}, "container"),
        ({".dockerenv": ""}, "container"),
        ({"run/.containerenv": ""}, "container"),
        ({"run/systemd/container": "podman"}, "container"),
        ({"proc/1/environ": "TERM=xterm\0container=lxc\0"}, "container"),
        ({"proc/1/environ": "my_container=no\0"}, "native"),
        ({"proc/sys/kernel/osrelease": "5.15.167.4-microsoft-standard-WSL2", "dev/dxg": ""}, "wsl2"),
        (
            {"proc/sys/kernel/osrelease": "5.15-microsoft-standard-WSL2", "dev/dxg": "", "proc/1/comm": "init(Debian)"},
            "wsl2",
        ),
        (
            {"proc/sys/kernel/osrelease": "5.15.167.4-microsoft-standard-WSL2", "dev/dxg": "", ".dockerenv": ""},
            "container",
        ),
        ({"proc/sys/kernel/osrelease": "6.8.0-1015-azure-microsoft"}, "native"),
    ],
)
def test_platforms_are_told_apart(machine: Machine, files: dict[str, str], platform: str) -> None:
    for path, content in files.items():
        machine.write(path, content)
    assert machine.facts()["platform"] == platform


@pytest.mark.parametrize(
    ("variable", "answer"), [(b"\6\0\0\0\1", True), (b"\6\0\0\0\0", False), (None, None)], ids=["on", "off", "hidden"]
)
def test_secure_boot_is_read_from_the_firmware(machine: Machine, variable: bytes | None, answer: bool | None) -> None:
    machine.write("sys/firmware/efi/fw_platform_size", "64")
    if variable is not None:
        machine.write(facts.SECURE_BOOT, variable)
    assert machine.facts()["secure_boot"] is answer


def test_nvswitches_are_counted_and_old_bridges_are_not(machine: Machine) -> None:
    for number in range(4):
        machine.pci(f"0000:0{number}:00.0", "0x10de", "0x22a3", "0x068000")
    machine.pci("0000:08:00.0", "0x10de", "0x0373", "0x068000")  # a network device of a mainboard of 2005
    machine.pci("0000:09:00.0", "0x10de", "0x2330", "0x030200")
    found = machine.facts()
    assert (found["nvswitches"], found["pci"]) == (4, ["10de:2330"])


def test_nouveau_is_noticed(machine: Machine) -> None:
    machine.write("sys/module/nouveau/refcnt", "1")
    assert machine.facts()["nouveau"] is True


def test_in_wsl2_the_driver_is_what_nvidia_smi_says(machine: Machine) -> None:
    machine.write("proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2")
    machine.write("dev/dxg")
    machine.program("nvidia-smi", f"echo '{RTX_4090}'")
    found = machine.facts()
    assert (found["driver"], found["installed"], found["secure_boot"]) == ("580.95.05", "", None)
