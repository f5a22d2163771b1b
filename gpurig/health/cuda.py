"""CUDA without PyTorch: does it start, does it see every GPU, and does a kernel compute right on each?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpurig.health import recording
from gpurig.health.figures import number, part, parts
from gpurig.health.finding import Finding, Wanted

START, COUNT = "CUDA: start", "CUDA: GPUs"

SOURCE = "NVIDIA, CUDA driver API"

MEANINGS = {
    2: "out of memory",
    3: "not initialised",
    46: "the GPU is taken, exclusively or split",
    100: "no GPU",
    802: "not ready: the fabric manager of its NVLink switches does not run",
    803: "its driver and its CUDA library do not match",
    804: "this GPU cannot do with so old a driver",
    999: "unknown: often a kernel module is missing",
}
"""CUresult → what it means."""

ADVICE = {
    2: "See what fills the GPU (`nvidia-smi` on the host), and end it.",
    46: "Set the compute mode to Default (`nvidia-smi --compute-mode=0`), and see whether MIG splits the GPU.",
    100: "See `ls /dev/nvidia*` and `nvidia-smi` on the host; in a container, start it with its GPUs.",
    802: "Install and start the Fabric Manager of exactly the driver's version: `ansible-playbook playbooks/site.yml` does it on a machine of its own.",
    803: "Reboot the machine, so that module and libraries are of one version; in a container, its image brings another libcuda.",
    804: "Remove cuda-compat from the machine or the image; only GPUs made for servers can use it.",
    999: "Load the module (`modprobe nvidia_uvm`), or reboot; inside WSL2 run `wsl --shutdown` in Windows.",
}
"""CUresult → what to do."""

ELSE = "See `nvidia-smi` and the kernel's log on the host; of a rented machine, take another."
HANG = "Reboot the machine: nothing else ends a driver that hangs. Of a rented machine, take another."
BAD = "The GPU computes wrong. Nothing that it computes can be used; have it replaced, and of a rented machine, take another."


def judge(found: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    """Every finding about CUDA without PyTorch."""
    if reason := recording.skipped(found, "cuda"):
        yield Finding(name=START, verdict="SKIP", reason=reason)
        return
    cuda = recording.section(found, "cuda")
    version, count = number(cuda, "version"), number(cuda, "count")
    if count is None or problem(cuda):
        said = problem(cuda) or "it does not say how many GPUs there are"
        yield failed(START, said, cuda, expected="CUDA starts and counts its GPUs")
        return
    yield Finding(
        name=START, verdict="PASS", value=f"driver for CUDA {_version(version)}", expected="it starts", source=SOURCE
    )
    yield _count(int(count), _expected(found, wanted), cuda)
    devices = parts(cuda.get("devices"))
    for index in range(max(int(count), len(devices))):
        device = next((one for one in devices if one.get("index") == index), {})
        yield _kernel(f"GPU {index}: a CUDA kernel", device)


def problem(section: Mapping[str, Any]) -> str:
    """What a probe says went wrong, with CUDA's code and its meaning; empty where nothing did."""
    said, code = section.get("problem"), number(section, "code") or 0
    if not said:
        return ""
    meaning = f" (code {code:.0f}{f', {MEANINGS[int(code)]}' if code in MEANINGS else ''})" if code else ""
    return f"{said}{meaning}"


def failed(name: str, said: str, section: Mapping[str, Any], *, expected: str) -> Finding:
    """The finding of a probe that got nowhere."""
    hangs = "no answer within" in said
    code = int(number(section, "code") or 0)
    return Finding(
        name=name,
        verdict="FAIL",
        value=said,
        expected=expected,
        source=SOURCE,
        reason="The driver hangs." if hangs else "No program can use the GPU.",
        advice=HANG if hangs else ADVICE.get(code, ELSE),
    )


def _version(version: float | None) -> str:
    """13000 → 13.0."""
    return "unknown" if version is None else f"{version // 1000:.0f}.{version % 1000 // 10:.0f}"


def _expected(found: Mapping[str, Any], wanted: Wanted) -> int:
    """How many GPUs there must be: as many as were wanted, else as nvidia-smi lists, else one."""
    listed = recording.run_of(recording.section(found, "smi").get("list")).out
    return wanted.count or sum(line.startswith("GPU ") for line in listed.splitlines()) or 1


def _count(count: int, expected: int, cuda: Mapping[str, Any]) -> Finding:
    hidden, fine = cuda.get("visible"), count == expected
    if count > expected:
        reason = "CUDA sees more GPUs than there should be."
    else:
        reason = "CUDA does not see the GPUs that should be there." if count else "CUDA starts, but has no GPU."
    if hidden is not None and count < expected:
        advice = f"CUDA_VISIBLE_DEVICES={hidden} is set for every program on the host; remove it."
    elif count == 0:
        advice = "See which libcuda.so.1 it loads: one that passes calls to another machine starts without any GPU."
    elif count > expected:
        advice = "Compare `nvidia-smi -L` on the host with the `count` of the host's entry, and correct the latter if it is old."
    else:
        advice = "Compare `nvidia-smi -L` on the host with what was wanted; see whether MIG splits a GPU."
    return Finding(
        name=COUNT,
        verdict="PASS" if fine else "FAIL",
        value=f"{count} GPU{'' if count == 1 else 's'}",
        expected=f"{expected}",
        source="as many as were asked for, or as nvidia-smi lists",
        reason="" if fine else reason,
        advice="" if fine else advice,
        figure=float(count),
        unit="GPUs",
    )


def _kernel(name: str, device: Mapping[str, Any]) -> Finding:
    elements, right = number(device, "elements"), number(device, "right")
    if problem(device) or not elements or right is None:
        said = problem(device) or "it says nothing of it"
        return failed(name, said, device, expected="a kernel runs, and its result comes back")
    fine = right == elements
    about = part(device)
    return Finding(
        name=name,
        verdict="PASS" if fine else "FAIL",
        value=f"{right:.0f} of {elements:.0f} integers right"
        f", {about.get('name', 'a GPU')}, compute capability {about.get('capability', 'unknown')}",
        expected="all of them",
        source="the same computed on the CPU",
        reason="" if fine else "A program compiled for this GPU gave wrong integers.",
        advice="" if fine else BAD,
    )
