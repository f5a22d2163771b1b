"""What a program needs before any driver's word: the GPU's device nodes, the kernel's module, CUDA's library."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gpurig.health import recording
from gpurig.health.finding import Finding, Wanted

WSL_LIBRARIES = "/usr/lib/wsl/"
SOURCE = "NVIDIA, driver README: device nodes; CUDA on WSL guide"

LENT = "vfio-pci"
"""The kernel's driver of a GPU that is lent to a virtual machine: nvidia-smi does not list it."""

INSTALL = {
    "native": "Install the driver: run `ansible-playbook playbooks/site.yml --tags nvidia_driver --limit HOST`.",
    "container": "Only who runs the machine can give its GPU to a container; rent another.",
    "wsl2": "Update Windows' NVIDIA driver and WSL (`wsl --update`), then `wsl --shutdown`.",
}


def judge(found: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    """Findings about device nodes, module and library."""
    if reason := recording.skipped(found, "devices"):
        yield Finding(name="device nodes", verdict="SKIP", reason=reason)
        return
    devices = recording.section(found, "devices")
    yield from _nodes(recording.strings(devices.get("nodes")), wanted)
    if wanted.platform == "native":
        yield _module(str(devices.get("module") or ""))
    yield _library(str(devices.get("libcuda") or ""), wanted)


def unasked(found: Mapping[str, Any], wanted: Wanted, reason: str) -> Finding:
    """The finding about a host that is to have no GPU: a warning where it has one all the same. reason: why none is asked for."""
    there = seen(found, wanted)
    if not there:
        return Finding(name="devices", verdict="SKIP", reason=reason)
    drivers = "windows" if wanted.platform == "wsl2" else "provided (or managed, where gpurig shall install the driver)"
    return Finding(
        name="devices",
        verdict="WARN",
        value=there,
        expected="no GPU",
        source="`gpu_driver` of the host's entry",
        reason="A GPU is there, and `gpu_driver` is none: it is neither used nor checked.",
        advice=f"Write gpu_driver: {drivers} into the host's entry, then run `rig up` and `ansible-playbook playbooks/site.yml`.",
    )


def seen(found: Mapping[str, Any], wanted: Wanted) -> str:
    """What shows that there is an NVIDIA GPU; empty where nothing does. /dev/dxg alone may be another maker's."""
    devices = recording.section(found, "devices")
    nodes, pci = recording.strings(devices.get("nodes")), recording.strings(devices.get("pci"))
    if wanted.platform == "wsl2":
        return "/dev/dxg and libcuda.so.1" if "/dev/dxg" in nodes and devices.get("libcuda") else ""
    if own := [node for node in nodes if node.startswith("/dev/nvidia")]:
        return _listed(own)
    count = sum(driver != LENT for driver in pci) if wanted.platform == "native" else 0
    return f"{count} on the PCI bus" if count else ""


def _nodes(nodes: list[str], wanted: Wanted) -> Iterator[Finding]:
    gpus = [node for node in nodes if re.fullmatch(r"/dev/nvidia\d+", node)]
    if wanted.platform == "wsl2":
        missing = [] if "/dev/dxg" in nodes else ["/dev/dxg"]
    else:
        missing = [] if gpus else ["/dev/nvidia0"]
        missing += [] if "/dev/nvidiactl" in nodes else ["/dev/nvidiactl"]
    yield Finding(
        name="device nodes",
        verdict="FAIL" if missing else "PASS",
        value=f"missing: {', '.join(missing)}" if missing else _listed(nodes),
        expected="/dev/dxg" if wanted.platform == "wsl2" else "/dev/nvidia0 and so on, /dev/nvidiactl",
        source=SOURCE,
        reason="Linux shows no GPU here." if missing else "",
        advice=INSTALL[wanted.platform] if missing else "",
    )
    if wanted.platform == "wsl2" or missing:
        return
    if "/dev/nvidia-uvm" in nodes:
        yield Finding(name="node of CUDA's memory", verdict="PASS", value="/dev/nvidia-uvm", expected="it is there")
    elif wanted.platform == "native":
        reason = "/dev/nvidia-uvm is made when CUDA is first used after a start"
        yield Finding(name="node of CUDA's memory", verdict="SKIP", reason=reason)
    else:
        yield Finding(
            name="node of CUDA's memory",
            verdict="FAIL",
            value="missing: /dev/nvidia-uvm",
            expected="it is there",
            source=SOURCE,
            reason="nvidia-smi works in such a container, and CUDA does not.",
            advice="Whoever runs the machine must load nvidia_uvm before the container starts; rent another.",
        )


def _module(version: str) -> Finding:
    return Finding(
        name="driver's kernel module",
        verdict="PASS" if version else "FAIL",
        value=version or "not loaded",
        expected="loaded",
        source="/sys/module/nvidia/version",
        reason=""
        if version
        else "The kernel has no driver for the GPU: none is installed, or another one has the card.",
        advice="" if version else INSTALL["native"],
    )


def _library(path: str, wanted: Wanted) -> Finding:
    shadowed = bool(path) and wanted.platform == "wsl2" and not path.startswith(WSL_LIBRARIES)
    return Finding(
        name="CUDA's library",
        verdict="WARN" if shadowed else "PASS" if path else "FAIL",
        value=path or "no libcuda.so.1",
        expected=f"libcuda.so.1 in {WSL_LIBRARIES}lib" if wanted.platform == "wsl2" else "libcuda.so.1",
        source=SOURCE,
        reason="A package of Linux' own driver hides the library of Windows' driver."
        if shadowed
        else ""
        if path
        else "No program here can use CUDA.",
        advice="Remove the packages libnvidia-compute-* and libcuda1 here."
        if shadowed
        else ""
        if path
        else INSTALL[wanted.platform],
    )


def _listed(nodes: list[str]) -> str:
    return ", ".join(node.removeprefix("/dev/") for node in sorted(nodes)) or "none"
