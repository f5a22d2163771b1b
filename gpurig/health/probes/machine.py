"""A machine and its GPUs as the system shows them: device nodes, nvidia-smi's answers, the kernel's log, limits.

    python3 - [SECTION,SECTION]      devices, smi, kernel_log, limits; without it, all

Prints one line of JSON with the sections `machine`, and those that were asked for, of a recording. It judges nothing.
nvidia-smi hangs on some broken GPUs: each call runs under a time limit, and is left behind if it cannot be killed.

    machine     "platform": "native" | "container" | "wsl2", "kernel": "6.8.0-60-generic"
    devices     "nodes": ["/dev/nvidia0", …], "libcuda": "/usr/lib/…/libcuda.so.1" | null, "module": "580.95.05" | "",
                "pci": ["nvidia", "vfio-pci", ""]    each NVIDIA GPU on the PCI bus: the kernel's driver that has it
    smi         "list": RUN, "fields": ["index", …], "query": RUN, "nvlink": RUN, "nvlink_errors": RUN, "topology": RUN
                fields: those that this nvidia-smi knows, by the names that it knows them by
    kernel_log  "how": "journalctl" | "dmesg" | null, "lines": 1204, and RUN, whose "out" has the lines about GPUs, PCIe, memory
                lines: of the whole log since the start
    limits      "shm": 67108864, "memlock" and "nofile": {"soft": 1024, "hard": 524288 | "unlimited"},
                "container_toolkit": RUN of `nvidia-ctk cdi list` | null where it is not installed
    RUN         "code": 0 | null where it could not be run or gave no answer, "out", "err", "seconds"
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpurig.health.probes import programs, smi

LOG_SECONDS = 10.0
LOG_BYTES = 200_000
"""Of the kernel's log, the newest lines; a GPU that fails again and again can fill it."""

PCI = "/sys/bus/pci/devices"
NVIDIA, DISPLAY = b"0x10de", b"0x03"
"""Vendor, and how the class of what has or drives a screen begins. Source: PCI-SIG, PCI code and ID assignment."""

LIBRARIES = ("/usr/lib/wsl/lib", "/usr/local/nvidia/lib64", "/usr/local/nvidia/lib")
"""Where libcuda.so.1 is although ldconfig does not know it."""

INTERESTING = re.compile(
    r"NVRM|nvidia|SXid|AER:|EDAC|Machine Check|Hardware Error|Out of memory|oom-kill|PCIe bandwidth, limited by",
    re.IGNORECASE,
)
"""Lines of the kernel's log that are kept. None of them names the host."""

HOST_NAME = re.compile(r"^(\[[^]]*\]) \S+ kernel: ")


def main(sections: str = "devices,smi,kernel_log,limits") -> None:
    """Take the readings that were asked for."""
    found: dict[str, Any] = {"schema": 1, "machine": machine()}
    wanted = sections.split(",")
    if "smi" in wanted:  # before the devices: as root, nvidia-smi makes their nodes
        found["smi"] = smi.answers()
    for name, take in (("devices", devices), ("kernel_log", kernel_log), ("limits", limits)):
        if name in wanted:
            found[name] = take()
    print(json.dumps(found), flush=True)  # noqa: T201 (this is the answer)
    os._exit(0)  # without waiting for what hangs


def machine() -> dict[str, Any]:
    """What kind of machine it is."""
    kernel = os.uname().release
    if "microsoft" in kernel.lower() and Path("/dev/dxg").exists():
        kind = "wsl2"
    elif any(Path(path).exists() for path in ("/.dockerenv", "/run/.containerenv", "/run/systemd/container")):
        kind = "container"
    else:
        inside = b"container=" in _read("/proc/1/environ")
        kind = "container" if inside or _read("/proc/1/comm").strip() not in (b"systemd", b"init") else "native"
    return {"platform": kind, "kernel": kernel}


def devices() -> dict[str, Any]:
    """Device nodes, CUDA's library, and the driver in the kernel."""
    nodes = [*Path("/dev").glob("nvidia*"), Path("/dev/dxg")]
    version = re.search(
        rb"\b\d{3}\.\d+(\.\d+)?\b", _read("/sys/module/nvidia/version") or _read("/proc/driver/nvidia/version")
    )
    return {
        "nodes": sorted(str(node) for node in nodes if node.exists() and not node.is_dir()),
        "libcuda": libcuda(),
        "module": version.group().decode() if version else "",
        "pci": [_driver(place) for place in sorted(Path(PCI).glob("*")) if _is_gpu(place)],
    }


def libcuda() -> str | None:
    """The libcuda.so.1 that a program gets."""
    folders = [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    listed = programs.run([shutil.which("ldconfig") or "/sbin/ldconfig", "-p"], 5)["out"]
    known = re.findall(r"libcuda\.so\.1 \(libc6,(?:x86-64|AArch64)[^)]*\) => (\S+)", listed)
    for path in [
        *(f"{folder}/libcuda.so.1" for folder in folders),
        *known,
        *(f"{place}/libcuda.so.1" for place in LIBRARIES),
    ]:
        if Path(path).exists():
            return str(path)
    return None


def kernel_log() -> dict[str, Any]:
    """The lines of the kernel's log since the start that are about GPUs, PCIe and memory."""
    nothing: dict[str, Any] = {
        "how": None,
        "lines": 0,
        "code": None,
        "out": "",
        "err": "neither journalctl nor dmesg",
        "seconds": 0.0,
    }
    for command in (["journalctl", "-k", "-b", "-q", "--no-pager", "-o", "short-monotonic"], ["dmesg"]):
        answer = programs.run(command, LOG_SECONDS)
        lines = answer["out"].splitlines()
        kept = "\n".join(HOST_NAME.sub(r"\1 ", line) for line in lines if INTERESTING.search(line))
        answer.update(how=command[0], lines=len(lines), out=kept[-LOG_BYTES:])
        if answer["code"] == 0 and lines:
            return answer
        if shutil.which(command[0]):
            nothing = answer
    return nothing


def limits() -> dict[str, Any]:
    """What this user's programs may have."""
    shm = None
    with suppress(OSError):
        about = os.statvfs("/dev/shm")  # noqa: S108 (it is asked for, not written to)
        shm = about.f_blocks * about.f_frsize
    toolkit = shutil.which("nvidia-ctk")
    return {
        "shm": shm,
        "memlock": _limit(resource.RLIMIT_MEMLOCK),
        "nofile": _limit(resource.RLIMIT_NOFILE),
        "container_toolkit": programs.run([toolkit, "cdi", "list"], LOG_SECONDS) if toolkit else None,
    }


def _is_gpu(place: Path) -> bool:
    """Whether it is one of NVIDIA's GPUs, and no virtual part of one."""
    display = _read(f"{place}/class").startswith(DISPLAY)
    return display and _read(f"{place}/vendor").strip() == NVIDIA and not (place / "physfn").exists()


def _driver(place: Path) -> str:
    link = place / "driver"
    return link.resolve().name if link.is_symlink() else ""


def _limit(which: int) -> dict[str, Any]:
    soft, hard = ("unlimited" if value == resource.RLIM_INFINITY else value for value in resource.getrlimit(which))
    return {"soft": soft, "hard": hard}


def _read(path: str) -> bytes:
    with suppress(OSError):
        return Path(path).read_bytes()
    return b""


if __name__ == "__main__":
    main(*sys.argv[1:])
