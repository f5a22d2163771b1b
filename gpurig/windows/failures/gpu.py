"""Failures of the GPU inside WSL. Its driver is Windows'; Linux has only its libraries, under /usr/lib/wsl/lib."""

from __future__ import annotations

from gpurig.windows import inside, wire
from gpurig.windows.actions import Action
from gpurig.windows.failures.case import GPU, Case, Failure
from gpurig.windows.failures.names import NAMES
from gpurig.windows.failures.starting import start

SMI = "/usr/lib/wsl/lib/nvidia-smi"

HUNG = 124


def not_on_path(case: Case) -> Failure | None:
    """20. Only what wsl.exe itself starts has /usr/lib/wsl/lib on its PATH (NVIDIA's guide to CUDA on WSL)."""
    if case.link.smi != "" or case.facts.nvidia_smi_code != 0:
        return None
    found = "nvidia-smi works, but a program that was started over SSH, by sudo or by systemd does not find it"
    meaning = "WSL puts its folder on the PATH only of what wsl.exe starts. Nothing of gpurig's needs that."
    link = f"`rig connect {case.host} -- sudo ln -s {SMI} /usr/local/bin/nvidia-smi`"
    fix = f"Call it `{SMI}`, or let it be found: {link}. Never install nvidia-utils for it."
    linked = inside.run(case.name, "nvidia_smi", says=f"/usr/local/bin/nvidia-smi leads to {SMI}")
    return Failure(20, NAMES[20], GPU, found, meaning, fix, (linked,), "OK")


def blocked(case: Case) -> Failure | None:
    """21. NVML is blocked: driver, Linux packages, TCC (WSL issues 9938, 9166, 11755, 11865)."""
    facts, windows = case.facts, case.section("gpu")
    if not case.gpu:
        return None
    meaning = "WSL borrows Windows' own NVIDIA driver; a second one for Linux, a broken or an old one hides the GPU."
    if facts.nvidia_packages:
        names = " ".join(facts.nvidia_packages)
        found = f"a driver for Linux is installed inside WSL: {', '.join(facts.nvidia_packages)}"
        fix = f"`rig connect {case.host} -- sudo apt-get purge --yes {names}`; {case.site()} keeps such packages out."
        return Failure(21, NAMES[21], GPU, found, meaning, fix)
    model = wire.text_of(windows.get("smi")).rpartition(",")[2].strip().upper()
    if model == "TCC":
        fix = "`nvidia-smi -dm 0` in an elevated PowerShell on the PC, then restart Windows."
        return Failure(21, NAMES[21], GPU, "the GPU runs with the driver model TCC, which WSL cannot use", meaning, fix)
    broken = [one for one in windows.get("adapters") or [] if one["state"] and "nvidia" in one["name"].lower()]
    if broken:
        found = f"Windows itself cannot use {broken[0]['name']} (device manager's code {broken[0]['state']})"
        return Failure(21, NAMES[21], GPU, found, meaning, "Install NVIDIA's driver on Windows again, then restart it.")
    if facts.problem or facts.nvidia_smi_code == 0:
        return None
    if facts.nvidia_smi_path is None:
        if not windows.get("system") and not facts.dxg:
            return None  # there is no NVIDIA GPU, or no driver at all: the step itself says so
        found = f"{SMI} is not there"
    elif facts.nvidia_smi_code == HUNG:
        found = f"{facts.nvidia_smi_path} hangs"
    else:
        said = (facts.nvidia_smi_out or "").strip().splitlines()
        found = f"{facts.nvidia_smi_path} ended with {facts.nvidia_smi_code}{f': {said[-1]}' if said else ''}"
    fix = "`wsl --shutdown` on the PC, as after an update of Windows' driver; if that does not help, update NVIDIA's driver on Windows. Never install one inside WSL."
    actions = (Action("wsl_shutdown", says="shut WSL down"), start())
    return Failure(21, NAMES[21], GPU, found, meaning, fix, actions)


def cosmetic(case: Case) -> Failure | None:
    """22. Three equal files where ldconfig expects links: nothing is wrong (WSL issues 5548, 11229)."""
    if "/usr/lib/wsl/lib/" not in case.link.ldconfig or "not a symbolic link" not in case.link.ldconfig:
        return None
    meaning = "Windows shows three equal files there, in a folder that nobody can write to."
    return Failure(
        22,
        NAMES[22],
        GPU,
        "ldconfig says that libcuda.so.1 is not a symbolic link",
        meaning,
        "Ignore it; all works.",
        level="OK",
    )
