#!/usr/bin/python
"""Gathers what gpurig's roles ask about a host's GPUs and their driver. Changes nothing, and never waits for a broken GPU for long."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
    module: gpurig_gpu_facts
    short_description: GPUs of a host and their driver
    description:
        - Returns C(ansible_facts.gpurig_gpu). C(platform) is V(native), V(container) or V(wsl2); C(driver) the version of the
          loaded driver and C(installed) that of the kernel module on disk, each empty where there is none; C(nouveau) whether that
          driver is loaded; C(secure_boot) whether the firmware demands signed kernel modules, null where the host cannot tell;
          C(nvswitches) how many NVSwitches are on the PCI bus.
        - C(devices) are the GPUs as nvidia-smi names them, with C(name), C(capability) such as V(8.9), empty with drivers before 510,
          and C(memory) in bytes; C(pci) holds vendor and device of every NVIDIA GPU on the PCI bus, driver or not; C(problem) says
          why nvidia-smi told nothing, and is empty where it did.
    options:
        seconds:
            description: For how long to wait for nvidia-smi. Eight large GPUs without persistence mode take half a minute to wake up.
            type: int
            default: 60
    author: gpurig
"""

VENDOR = "0x10de"
GPU_CLASSES = ("0x0300", "0x0302")
"""VGA controller and 3D controller; https://pcisys.org calls the bytes base class and sub-class."""

BRIDGE = "0x0680"
"""Class of NVSwitches. Mainboards of 2005 had NVIDIA's bridges too, but those are no switches: see nvswitches()."""

FIRST_WITH_NVSWITCH = 0x1AC2
"""Device number of the first NVSwitch, that of the V100: whatever has a lower one is something else."""

SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/wsl/lib"
FIELDS: tuple[str, ...] = ("name", "memory.total", "driver_version", "compute_cap")
"""The last one is unknown to drivers before 510, and one unknown field makes nvidia-smi fail as a whole."""


def gather(root: Path, seconds: int = 60, path: str = PROGRAMS) -> dict[str, Any]:
    """The fact. root: the host's root folder; path: where programs are looked for."""
    platform = platform_of(root)
    pci = list(_pci(root))
    gpus = [device for device, kind in pci if kind in GPU_CLASSES]
    devices, told, problem = smi(seconds, path)
    return {
        "platform": platform,
        "driver": loaded(root) or told,
        "installed": installed(path) if gpus and platform == "native" else "",
        "nouveau": (root / "sys/module/nouveau").exists(),
        "secure_boot": secure_boot(root) if platform == "native" else None,
        "nvswitches": sum(kind == BRIDGE and int(device, 16) >= FIRST_WITH_NVSWITCH for device, kind in pci),
        "devices": devices,
        "pci": ["10de:" + device[2:] for device in gpus],
        "problem": problem,
    }


def platform_of(root: Path) -> str:
    """A container inside WSL2 is a container. WSL2 need not have systemd as its first process, containers may."""
    if any((root / mark).exists() for mark in (".dockerenv", "run/.containerenv", "run/systemd/container")):
        return "container"
    if "microsoft" in _text(root / "proc/sys/kernel/osrelease").lower() and (root / "dev/dxg").exists():
        return "wsl2"
    if re.search("(^|\0)container=", _text(root / "proc/1/environ")):
        return "container"
    return "native" if _text(root / "proc/1/comm").strip() in {"systemd", "init"} else "container"


def loaded(root: Path) -> str:
    """Version of the driver in the kernel; empty without one, and in WSL2, where it is in Windows."""
    for place in ("sys/module/nvidia/version", "proc/driver/nvidia/version"):
        found = re.search(r"\b\d{3}\.\d+(\.\d+)?\b", _text(root / place))
        if found:
            return found.group()
    return ""


def installed(path: str) -> str:
    """Version of the module that the running kernel would load; empty without one."""
    code, out, _ = _run(["modinfo", "-F", "version", "nvidia"], 10, path)
    return out.strip() if code == 0 else ""


def secure_boot(root: Path) -> bool | None:
    """From the firmware's variable: four bytes of attributes, then 1 or 0. A machine without UEFI has no Secure Boot."""
    if not (root / "sys/firmware/efi").exists():
        return False
    try:
        value = (root / SECURE_BOOT).read_bytes()
    except OSError:
        return None
    return value[4:5] == b"\1"


def smi(seconds: int, path: str) -> tuple[list[dict[str, Any]], str, str]:
    """GPUs, the driver's version, and why there are none: what nvidia-smi says."""
    fields = FIELDS
    code, out, err = _query(fields, seconds, path)
    if "not a valid field" in out + err:
        fields = FIELDS[:-1]
        code, out, err = _query(fields, seconds, path)
    rows = [[cell.strip() for cell in line.split(",")] for line in out.splitlines() if line.strip()]
    good = code == 0 and rows and all(len(row) == len(fields) for row in rows)
    if not good:
        return [], "", err.strip() or " ".join(out.split()) or "nvidia-smi named no GPU"
    return [_device(row) for row in rows], _version(rows[0][2]), ""


def _query(fields: tuple[str, ...], seconds: int, path: str) -> tuple[int | None, str, str]:
    return _run(["nvidia-smi", "--query-gpu=" + ",".join(fields), "--format=csv,noheader,nounits"], seconds, path)


def _device(row: list[str]) -> dict[str, Any]:
    """Cells may say `[N/A]`, as for the memory of a GPU that shares the machine's."""
    capability = row[3] if len(row) == len(FIELDS) and re.match(r"\d+\.\d+$", row[3]) else ""
    return {"name": row[0], "capability": capability, "memory": int(row[1]) << 20 if row[1].isdigit() else 0}


def _version(cell: str) -> str:
    return cell if re.match(r"\d{3}\.", cell) else ""


def _pci(root: Path) -> Iterator[tuple[str, str]]:
    """Device number and class of NVIDIA's devices on the PCI bus, in its order."""
    for place in sorted((root / "sys/bus/pci/devices").glob("*")):
        if _text(place / "vendor").strip() == VENDOR:
            yield _text(place / "device").strip(), _text(place / "class").strip()[:6]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _run(command: list[str], seconds: int, path: str) -> tuple[int | None, str, str]:
    """Exit code, output and errors. A process that cannot be killed, because the kernel waits for the GPU, is left behind."""
    program = shutil.which(command[0], path=path)
    if program is None:
        return None, "", command[0] + " is not installed"
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        universal_newlines=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
        return None, "", command[0] + " gave no answer within " + str(seconds) + " s"
    return process.returncode, out, err


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(argument_spec={"seconds": {"type": "int", "default": 60}}, supports_check_mode=True)
    module.exit_json(ansible_facts={"gpurig_gpu": gather(Path("/"), module.params["seconds"])})


if __name__ == "__main__":
    main()
