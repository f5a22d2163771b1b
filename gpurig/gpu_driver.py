"""Which NVIDIA driver a host of its own kernel gets, or why it gets none. Pure; part of gpurig/gpu_software.py's decision."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("gpu_software.toml")

LEGACY, TURING, BLACKWELL = "Maxwell, Pascal or Volta", "Turing, Ampere, Hopper or Ada", "Blackwell or newer"

LAST_LEGACY = 580
"""The last branch for Maxwell, Pascal and Volta, and the last that has closed kernel modules."""

FIRST_BLACKWELL = 570
FIRST_OPEN = 560
"""From here on NVIDIA's own default for Turing and newer are the open kernel modules; before, they were unfinished for GeForce."""

FIRST_PINNED = 580
"""From here on NVIDIA's repository has a package that keeps apt on a branch."""

FIRST_WITHOUT_NUMBER = 590
"""From here on packages in NVIDIA's repository for Ubuntu carry no branch in their names; those for Debian never did."""

OLDEST = 525
"""What CUDA 12 needs; nothing here works with older ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Driver:
    """What to install.

    branch, source: `580` from the `ubuntu`, `debian` or `nvidia` packages. open: with the open kernel modules.
    pinning: package that must be installed before the others, or empty. packages: the driver itself.
    leading: the one of them whose version is the driver's. fabric_manager: names under which it may be packaged; empty
    where there is no NVSwitch, else it must be of exactly the driver's version. modules: kernel modules to load.
    dkms: the kernel modules are compiled, and signed by nobody. refusals: why nothing is installed.
    """

    branch: str = ""
    source: str = ""
    open: bool = False
    pinning: str = ""
    packages: tuple[str, ...] = ()
    leading: str = ""
    fabric_manager: tuple[str, ...] = ()
    modules: tuple[str, ...] = ("nvidia", "nvidia_uvm")
    dkms: bool = False
    refusals: tuple[str, ...] = ()


def choose(facts: Mapping[str, Any], branch: str, source: str, release: str, kernel: str, foreign: str = "") -> Driver:
    """The driver for a host. facts: gpurig_gpu; source: `auto`, `distribution` or `nvidia`; kernel: as `uname -r` tells it;
    foreign: what is there of a driver from elsewhere, see gpu_packages.foreign.
    """
    if not re.fullmatch(r"\d{3}", branch):
        return Driver(
            refusals=(f'nvidia_driver {branch} is no branch: write its three digits in quotes, such as "580"',)
        )
    row = table()["releases"].get(release)
    if row is None:
        known = ", ".join(table()["releases"])
        return Driver(refusals=(f"the NVIDIA driver is known for {known}, and this host runs {release or 'another'}",))
    generations = {generation(device) for device in facts["pci"]}
    origin = _origin(source, row["family"])
    is_open = BLACKWELL in generations or (LEGACY not in generations and int(branch) >= FIRST_OPEN)
    flavour = _flavour(kernel, row)
    if origin == "nvidia":
        leading, packages = _nvidia(branch, row["family"], is_open)
    else:
        leading, packages = _ubuntu(branch, flavour, is_open) if origin == "ubuntu" else _debian(is_open)
    hidden = _hidden_switches(facts["pci"])
    switched = facts["nvswitches"] > 0 or hidden
    return Driver(
        branch=branch,
        source=origin,
        open=is_open,
        pinning=f"nvidia-driver-pinning-{branch}" if origin == "nvidia" else "",
        packages=(*(_kernel(flavour) if origin != "ubuntu" else []), *packages, *(["nvlsm"] if hidden else [])),
        leading=leading,
        fabric_manager=(f"nvidia-fabricmanager-{branch}", "nvidia-fabricmanager") if switched else (),
        modules=("nvidia", "nvidia_uvm", *(["ib_umad"] if hidden else [])),
        dkms=origin != "ubuntu",
        refusals=(
            *([foreign] if foreign else []),
            *_about_gpus(generations, int(branch)),
            *_about_source(origin, branch, row, flavour, kernel, switched=switched),
            *(_about_secure_boot(facts["secure_boot"]) if origin != "ubuntu" else []),
        ),
    )


def reboot(facts: Mapping[str, Any], *, changed: bool) -> str:
    """Why a host whose driver is installed needs a reboot; empty where it needs none. changed: it was installed just now."""
    if facts["nouveau"]:
        return "the kernel's own driver nouveau holds the GPU"
    if facts["driver"] and facts["installed"] and facts["driver"] != facts["installed"]:
        return f"the kernel runs driver {facts['driver']}, and {facts['installed']} is installed"
    if not facts["driver"] and changed:
        return "the driver was installed for the first time"
    if not facts["driver"] and not facts["installed"]:
        return "the driver is installed for another kernel than the one that runs"
    return ""


def generation(device: str) -> str:
    """The generation of a GPU by its PCI number, `10de:2684`."""
    number = int(device.rpartition(":")[2], 16)
    return str([name for name, first in table()["generations"].items() if first <= number][-1])


@functools.cache
def table() -> dict[str, Any]:
    """The whole of gpu_software.toml."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def _origin(source: str, family: str) -> str:
    """Ubuntu signs its modules for Secure Boot. Debian's own branch is too old for CUDA 13, so NVIDIA's packages are the rule there."""
    if source == "distribution" or (source == "auto" and family == "ubuntu"):
        return family
    return "nvidia"


def _flavour(kernel: str, row: Mapping[str, Any]) -> str:
    """Which of the distribution's kernels runs, as its package names end: `generic`, `generic-hwe-24.04`, `aws`, `cloud-amd64`."""
    if row["family"] == "debian":
        found = re.search(r"-((?:cloud-|rt-)?(?:amd64|arm64))$", kernel)
        return found.group(1) if found else ""
    found = re.match(r"(\d+\.\d+)\.\d+-\d+-([a-z][\w-]*)$", kernel)
    if not found:
        return ""
    newer = found.group(2) in {"generic", "lowlatency"} and found.group(1) != row["kernel"]
    return f"{found.group(2)}-{row['hwe']}" if newer else found.group(2)


def _ubuntu(branch: str, flavour: str, is_open: bool) -> tuple[str, list[str]]:
    """Canonical's server branch without DKMS: its modules are compiled and signed for each of Ubuntu's kernels."""
    kind = f"{branch}-server{'-open' if is_open else ''}"
    leading = f"nvidia-utils-{branch}-server"
    return leading, [f"nvidia-headless-no-dkms-{kind}", f"linux-modules-nvidia-{kind}-{flavour}", leading]


def _debian(is_open: bool) -> tuple[str, list[str]]:
    """Debian's non-free packages, without those for a screen."""
    module = "nvidia-open-kernel-dkms" if is_open else "nvidia-kernel-dkms"
    return "nvidia-smi", [module, "nvidia-smi", "libcuda1", "nvidia-persistenced"]


def _nvidia(branch: str, family: str, is_open: bool) -> tuple[str, list[str]]:
    """NVIDIA's own, for computing only. The names differ between Ubuntu and Debian."""
    if family == "debian":
        return "nvidia-driver-cuda", [
            "nvidia-kernel-open-dkms" if is_open else "nvidia-kernel-dkms",
            "nvidia-driver-cuda",
        ]
    number = f"-{branch}" if int(branch) < FIRST_WITHOUT_NUMBER else ""
    leading = f"libnvidia-compute{number}"
    return leading, [
        f"nvidia-dkms{number}{'-open' if is_open else ''}",
        leading,
        f"nvidia-utils{number}",
        "nvidia-persistenced",
    ]


def _kernel(flavour: str) -> list[str]:
    """DKMS compiles for kernels that have headers: both are installed together, so that the newest kernel has its module."""
    return [f"linux-image-{flavour}", f"linux-headers-{flavour}"]


def _about_gpus(generations: set[str], branch: int) -> Iterator[str]:
    if not generations:
        yield "there is no NVIDIA GPU on its PCI bus: set gpu_driver to none, or see why the machine does not show its GPU"
    if "Kepler or older" in generations:
        yield f"it has a GPU older than Maxwell, which no driver from {OLDEST} on knows: take the GPU out"
    if branch < OLDEST:
        yield f"nvidia_driver {branch} is older than {OLDEST}, the oldest that CUDA 12 works with"
    if {LEGACY, BLACKWELL} <= generations:
        yield f"no driver knows both of its GPUs, {LEGACY} and {BLACKWELL}: take one out"
    elif LEGACY in generations and branch > LAST_LEGACY:
        yield f'its GPU ({LEGACY}) is known up to branch {LAST_LEGACY} only: write nvidia_driver: "{LAST_LEGACY}"'
    elif BLACKWELL in generations and branch < FIRST_BLACKWELL:
        yield f'its GPU ({BLACKWELL}) is known from branch {FIRST_BLACKWELL} on: write nvidia_driver: "580"'


def _about_source(
    origin: str, branch: str, row: Mapping[str, Any], flavour: str, kernel: str, *, switched: bool
) -> Iterator[str]:
    if not flavour:
        yield (
            f"its kernel {kernel or '(unknown)'} is none of the distribution's, so there is no module or header package for it: "
            "boot one of those"
        )
    if origin == "ubuntu" and branch in table()["transitional"]:
        successor = table()["transitional"][branch]
        yield f'Ubuntu has replaced its branch {branch} by {successor}: write nvidia_driver: "{successor}"'
    elif origin == "ubuntu" and branch not in table()["server"]["branches"]:
        yield (
            f"Ubuntu's server series has no branch {branch}: write {' or '.join(table()['server']['branches'])} as nvidia_driver, "
            "or nvidia_driver_source: nvidia"
        )
    if origin == "debian" and branch != row["branch"]:
        yield (
            f'Debian\'s own packages are of branch {row["branch"]}, not {branch}: write nvidia_driver: "{row["branch"]}", '
            "or nvidia_driver_source: nvidia"
        )
    if origin == "debian" and switched:
        yield "Debian has no Fabric Manager, which its NVSwitches need: write nvidia_driver_source: nvidia"
    if origin == "nvidia" and int(branch) < FIRST_PINNED:
        yield f"NVIDIA's repository cannot be held at branch {branch}, only at {FIRST_PINNED} and newer ones"


def _about_secure_boot(enabled: bool | None) -> Iterator[str]:
    if enabled is None:
        yield "it does not tell whether Secure Boot is on (no /sys/firmware/efi/efivars), and compiled modules need it off: mount efivarfs"
    elif enabled:
        yield (
            "Secure Boot is on, and would refuse a module that was compiled on the host (DKMS): turn it off in the firmware, "
            "or use Ubuntu, whose modules are signed"
        )


def _hidden_switches(pci: list[str]) -> bool:
    """Whether this is a baseboard with eight GPUs whose NVSwitches are not on the PCI bus."""
    return sum(device in table()["hidden_switches"] for device in pci) >= 8  # noqa: PLR2004 (one for each of its GPUs)
