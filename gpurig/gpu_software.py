"""Driver, CUDA toolkit and container tools of a host, and why it gets none of them: one pure function of its facts.

Roles act on the Decision and decide nothing themselves. Data: gpu_software.toml; rules and sources: docs/gpu-software.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gpurig import drivers
from gpurig.gpu_driver import BLACKWELL, LEGACY, Driver, choose, generation, reboot, table
from gpurig.gpu_packages import foreign

GENERATIONS = {(10, 0): BLACKWELL, (7, 5): "", (0, 0): LEGACY}
"""The first compute capability of each; the middle ones are of no concern here."""

FIRST_WITHOUT_LEGACY = (13,)
FIRST_WITH_BLACKWELL = (12, 8)
"""Versions of CUDA."""

ENGINES = {"docker": ("docker.io",), "podman": ("podman", "slirp4netns", "uidmap")}
"""The distribution's own packages; the last two let a user run containers without root."""

DOCKER_WITHOUT_CDI = ("bookworm",)
"""Releases whose Docker is older than 25, the first that knows CDI; there the older way with a runtime of NVIDIA's is used."""

PODMAN_WITHOUT_CDI = ("jammy",)
"""Releases whose Podman is older than 4.1, the first that knows CDI (Ubuntu 22.04: 3.4.4)."""

ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "sbsa"}
"""What `uname -m` says → how NVIDIA calls it."""


TOOLKIT_OF_IMAGE = (
    "a container has the CUDA toolkit that its image brings, if any, and NVIDIA's packages beside it would change what the machine "
    "around it lends. PyTorch needs none. Remove cuda_toolkit from this host, or use a machine of its own or WSL2"
)
"""Why no container gets a toolkit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is asked of a host, and what is known of it besides gpurig_gpu.

    gpu_driver, init: capabilities of its record. release: such as noble. kernel, architecture: as uname tells them.
    driver: branch, empty for none of ours. source: auto, distribution or nvidia. toolkit: such as 13.0. engine: docker, podman or empty.
    present: what the role saw of a driver from elsewhere, see gpu_packages.foreign.
    """

    gpu_driver: str
    init: str
    release: str
    kernel: str = ""
    architecture: str = "x86_64"
    driver: str = ""
    source: str = "auto"
    toolkit: str = ""
    engine: str = ""
    present: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """One of NVIDIA's for apt. folder: under the address of them all; key: file in it; fingerprint: of that key."""

    folder: str
    key: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolkit:
    """package: the toolkit alone, never one that brings a driver. keep_out: no driver for Linux may come with it."""

    package: str = ""
    keep_out: bool = True
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """packages: the distribution's own. gpu: containers get GPUs, by `cdi` or by NVIDIA's `runtime`; empty for none."""

    packages: tuple[str, ...] = ()
    gpu: str = ""
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """repository: NVIDIA's for driver and toolkit, None where neither comes from it. reboot: why one is needed as things are."""

    driver: Driver
    toolkit: Toolkit
    engine: Engine
    repository: Repository | None
    reboot: str

    @property
    def refusals(self) -> tuple[str, ...]:
        """All of them."""
        return self.driver.refusals + self.toolkit.refusals + self.engine.refusals


def decide(facts: Mapping[str, Any], wanted: Wanted) -> Decision:
    """What a host gets. facts: gpurig_gpu, see plugins/modules/gpurig_gpu_facts.py."""
    driver = _driver(facts, wanted)
    needs = bool(wanted.toolkit) or driver.source == "nvidia"
    return Decision(
        driver=driver,
        toolkit=_toolkit(facts, wanted),
        engine=_engine(facts, wanted),
        repository=_repository(_platform(facts, wanted), wanted) if needs else None,
        reboot=reboot(facts, changed=facts["installed"].partition(".")[0] != driver.branch) if driver.branch else "",
    )


def _platform(facts: Mapping[str, Any], wanted: Wanted) -> str:
    """As the host's record has it where that says more: without a driver in Windows, WSL2 has no /dev/dxg to be known by."""
    return "wsl2" if wanted.gpu_driver == "windows" else str(facts["platform"])


def _driver(facts: Mapping[str, Any], wanted: Wanted) -> Driver:
    if not wanted.driver:
        return Driver()
    reason = {
        "wsl2": "the driver of WSL2 is that of Windows: install or update it there. One for Linux would hide the libraries that "
        "Windows puts under /usr/lib/wsl/lib",
        "container": "a container uses the kernel and the driver of the machine that it runs on, and can have none of its own",
    }.get(_platform(facts, wanted))
    if reason is None and wanted.gpu_driver != "managed":
        reason = f"its driver is not ours to install (gpu_driver is {wanted.gpu_driver})"
    if reason:
        return Driver(refusals=(f"{reason}. Remove nvidia_driver from this host",))
    return choose(facts, wanted.driver, wanted.source, wanted.release, wanted.kernel, foreign(wanted.present))


def _toolkit(facts: Mapping[str, Any], wanted: Wanted) -> Toolkit:
    if not wanted.toolkit:
        return Toolkit()
    if _platform(facts, wanted) == "container":
        return Toolkit(refusals=(TOOLKIT_OF_IMAGE,))
    return Toolkit(
        package=f"cuda-toolkit-{wanted.toolkit.replace('.', '-')}",
        keep_out=wanted.gpu_driver != "managed",
        refusals=tuple(_about_toolkit(facts, wanted)),
    )


def _about_toolkit(facts: Mapping[str, Any], wanted: Wanted) -> Iterator[str]:
    if not re.fullmatch(r"\d+\.\d+", wanted.toolkit):
        yield f'cuda_toolkit {wanted.toolkit} is no version: write two numbers in quotes, such as "13.0"'
        return
    version, release = drivers.parts(wanted.toolkit), table()["releases"].get(wanted.release)
    name = f"CUDA {wanted.toolkit}"
    generations = _generations(facts, wanted)
    oldest = drivers.parts(release["oldest_toolkit"]) if release and _platform(facts, wanted) != "wsl2" else (0,)
    if release is None:
        yield f"{name} is known for {', '.join(table()['releases'])}, and this host runs {wanted.release or 'another'}"
    elif LEGACY in generations and oldest >= FIRST_WITHOUT_LEGACY:
        yield (
            f"NVIDIA has no toolkit for its GPU (compute capability below 7.5) and {wanted.release}, where the oldest is "
            f"{release['oldest_toolkit']}. Remove cuda_toolkit from this host, or use another release"
        )
        return
    elif version < oldest:
        yield f"NVIDIA's oldest toolkit for {wanted.release} is {release['oldest_toolkit']}, not {wanted.toolkit}"
    if wanted.architecture not in ARCHITECTURES:
        yield f"NVIDIA has no packages for {wanted.architecture}"
    if wanted.driver:
        yield from outrun(wanted.toolkit, wanted.driver)
    elif (driver := facts["driver"]) and not drivers.enough(driver, least := drivers.least(version[0])):
        where = "Update it in Windows" if _platform(facts, wanted) == "wsl2" else "Use a newer driver"
        yield f"{name} needs driver {least} or newer, found {driver}. {where}, or an older toolkit"
    if LEGACY in generations and version >= FIRST_WITHOUT_LEGACY:
        yield f'{name} cannot compile for its GPU (compute capability below 7.5): write cuda_toolkit: "12.9"'
    if BLACKWELL in generations and version < FIRST_WITH_BLACKWELL:
        first = ".".join(map(str, max(FIRST_WITH_BLACKWELL, oldest)))
        yield f'{name} does not know its GPU (Blackwell): write cuda_toolkit: "{first}" or newer'


def outrun(toolkit: str, branch: str) -> Iterator[str]:
    """Why what this toolkit compiles runs with no driver of a branch; nothing where it does."""
    least = drivers.least(drivers.parts(toolkit)[0])
    if not drivers.enough(f"{branch}.99999", least):
        yield f"CUDA {toolkit} needs driver {least} or newer, found {branch}. Use a newer driver, or an older toolkit"


def _generations(facts: Mapping[str, Any], wanted: Wanted) -> set[str]:
    """Those of its GPUs: by compute capability where a driver tells it, else by PCI number, on a machine that is to use them."""
    found = [drivers.parts(device["capability"]) for device in facts["devices"] if device["capability"]]
    if found:
        return {next(name for first, name in GENERATIONS.items() if first <= one) for one in found}
    if facts["platform"] != "native" or wanted.gpu_driver == "none":
        return set()  # a container sees GPUs that it was not given
    return {generation(device) for device in facts["pci"]}


def _engine(facts: Mapping[str, Any], wanted: Wanted) -> Engine:
    if not wanted.engine:
        return Engine()
    if wanted.engine not in ENGINES:
        return Engine(refusals=(f"container_engine {wanted.engine} is not known: write {' or '.join(ENGINES)}",))
    if facts["platform"] == "container":
        return Engine(
            refusals=("it is a container itself, which may not run others. Remove container_engine from this host",)
        )
    if wanted.init != "systemd":
        return Engine(
            refusals=("it has no systemd to run a container engine. In WSL2 write systemd=true into /etc/wsl.conf",)
        )
    if wanted.gpu_driver == "none":
        return Engine(packages=ENGINES[wanted.engine])
    if wanted.engine == "podman" and wanted.release in PODMAN_WITHOUT_CDI:
        return Engine(
            refusals=(
                f"the Podman of {wanted.release} cannot give GPUs to containers (CDI needs 4.1): write container_engine: docker",
            )
        )
    older = wanted.engine == "docker" and wanted.release in DOCKER_WITHOUT_CDI
    return Engine(packages=ENGINES[wanted.engine], gpu="runtime" if older else "cdi")


def _repository(platform: str, wanted: Wanted) -> Repository:
    """WSL2 has one of its own, which holds no driver."""
    name = "wsl-ubuntu" if platform == "wsl2" else table()["releases"].get(wanted.release, {}).get("folder", "unknown")
    keys = table()["keys"]
    key = keys.get(name, keys["default"])
    folder = f"{name}/{ARCHITECTURES.get(wanted.architecture, wanted.architecture)}"
    return Repository(folder=folder, key=key["file"], fingerprint=key["fingerprint"])
