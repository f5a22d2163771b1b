"""Which build of an environment (cu130, cu126, cpu …) a host gets. Pure: from facts about its GPUs and the locks that there are.

What PyTorch publishes, and what each build runs on, is data: torch_builds.toml.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from gpurig import drivers
from gpurig.environments import Lock

FILE = Path(__file__).with_name("torch_builds.toml")

Capability = tuple[int, int]

CPU = "cpu"

NEWEST = "9999"
"""A driver that is newer than any."""


class RefusedError(Exception):
    """No build of an environment can work on this host. The message says why, and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What is known of a host's GPUs.

    expected: somebody counts on a GPU here. driver: the loaded NVIDIA driver's version, empty where there is none.
    gpus: how many. capabilities: what compute capabilities they have; drivers before 510 do not tell.
    problem: why nothing is known of them, in the words of what was asked.
    """

    expected: bool
    platform: Literal["native", "container", "wsl2"] = "native"
    driver: str = ""
    gpus: int = 0
    capabilities: tuple[Capability, ...] = ()
    problem: str = ""

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any], *, expected: bool) -> Machine:
        """From the fact gpurig_gpu (plugins/modules/gpurig_gpu_facts.py)."""
        devices = facts.get("devices") or []
        return cls(
            expected=expected,
            platform=facts.get("platform") or "native",
            driver=facts.get("driver") or "",
            gpus=len(devices),
            capabilities=tuple(
                sorted({_capability(device["capability"]) for device in devices if device["capability"]})
            ),
            problem=facts.get("problem") or "",
        )


def choose(name: str, python: str, locks: Sequence[Lock], machine: Machine) -> Lock:
    """The lock to install. name and python: the environment's, for the advice. Raises RefusedError.

    Without a GPU that somebody counts on, any build works: the `cpu` one, which is smaller, where there is one. Else the
    default one if it can run here, else the one for the newest CUDA that can; never the `cpu` one.
    """
    default = locks[0]
    if not machine.expected:
        return next((lock for lock in locks if lock.build == CPU), default)
    if not any(lock.build for lock in locks):
        return next((lock for lock in locks if lock.extra != CPU), default)
    _check_gpu(machine)
    usable = [lock for lock in locks if lock.build != CPU and not any(objections(lock.build, lock.torch, machine))]
    if usable:
        return max(usable, key=lambda lock: (lock is default, drivers.of_build(lock.build) or (0, 0)))
    raise RefusedError(_why(name, python, locks, machine))


def objections(build: str, torch: str, machine: Machine) -> Iterator[str]:
    """Why a build of this PyTorch cannot compute on a machine's GPUs; nothing where it can."""
    cuda = drivers.of_build(build)
    if cuda is None:
        return
    least = drivers.least(cuda[0])
    newest = max(machine.capabilities, default=(0, 0))
    for row in _table()["driver"]:
        if newest >= _capability(row["capability"]) and not drivers.enough(least, row["least"]):
            least = row["least"]
    if not drivers.enough(machine.driver, least):
        yield f"{build} needs driver {least} or newer"
    architectures = _architectures(build, torch)
    for capability in machine.capabilities if architectures else ():
        if not runs_on(architectures, capability):
            yield f"{build} has nothing for compute capability {_text(capability)}"


def runs_on(architectures: Iterable[Capability], capability: Capability) -> bool:
    """Whether code for these architectures runs on a GPU: one of the same major version that is not newer than it."""
    return any(major == capability[0] and minor <= capability[1] for major, minor in architectures)


def published(torch: str) -> tuple[str, ...]:
    """The builds with CUDA that a release of PyTorch was published as; none for one that the table does not know."""
    return tuple(_release(torch).get("builds", ()))


def _check_gpu(machine: Machine) -> None:
    if machine.driver and machine.gpus:
        return
    found = machine.problem or ("no GPU was found" if machine.driver else "no NVIDIA driver is loaded")
    advice = {
        "wsl2": "Install NVIDIA's driver 580 or newer in Windows (never in WSL2), then run `wsl --shutdown` there",
        "container": "Its provider has to pass a GPU through to the container: `rig rebuild` makes the host anew",
        "native": "Load the driver (role nvidia_driver; `rig verify` shows what is wrong)",
    }[machine.platform]
    raise RefusedError(
        f"a GPU is expected here, but {found}. {advice}; or take the GPU out of this host's configuration."
    )


def _why(name: str, python: str, locks: Sequence[Lock], machine: Machine) -> str:
    """Why no lock will do; and the build to lock, or another driver, or another PyTorch."""
    torch = next((lock.torch for lock in locks if lock.torch), "")
    here = f"driver {machine.driver}, compute capability {', '.join(map(_text, machine.capabilities)) or 'unknown'}"
    have = "; ".join(
        reason
        for lock in locks
        for reason in (
            objections(lock.build, lock.torch, machine) if lock.build != CPU else [f"{CPU} computes on no GPU"]
        )
    )
    said = f"none of its builds works on this host's GPUs ({here}): {have}."
    could = [build for build in published(torch) if not any(objections(build, torch, machine))]
    if locks[0].extra:
        return f"{said} {_of_source(name, locks, machine)}"
    if could:
        return f"{said} `rig env lock {name} --build {_best(could)}` makes one that does."
    return f"{said} {_other_way(torch, python, machine)}"


def _best(builds: Sequence[str]) -> str:
    """The build to recommend: of the preferred ones (section `preferred` of the table) the first, else the newest."""
    preferred: list[str] = _table()["preferred"]
    return next((build for build in preferred if build in builds), builds[-1])


def _of_source(name: str, locks: Sequence[Lock], machine: Machine) -> str:
    """What to do where the lock of the environment's own repository fixes the build: the driver for it, or another commit."""
    newest_driver = replace(machine, driver=NEWEST)
    for lock in locks:
        if lock.build != CPU and not any(objections(lock.build, lock.torch, newest_driver)):
            needed = "; ".join(objections(lock.build, lock.torch, machine))
            return f"The repository's own {lock.file} fixes the build: {needed}. Install such a driver, or leave {name} out here."
    return f"The repository's own {locks[0].file} fixes the build: leave {name} out here, or name a commit with another in environments_sources."


def _other_way(torch: str, python: str, machine: Machine) -> str:
    """What to do where no build of this PyTorch works here: a newer driver, or another PyTorch."""
    newest_driver = replace(machine, driver=NEWEST)
    with_newer = [build for build in published(torch) if not any(objections(build, torch, newest_driver))]
    if with_newer:
        return f"PyTorch {torch} works here with a newer driver: {'; '.join(objections(_best(with_newer), torch, machine))}."
    releases = [
        row
        for row in _table()["release"]
        if any(not any(objections(build, row["torch"], machine)) for build in row["builds"])
    ]
    if releases:
        last = releases[-1]
        build = _best([build for build in last["builds"] if not any(objections(build, last["torch"], machine))])
        return (
            f"The last PyTorch with such a build is {last['torch']} ({build}, Python {last['python']} or newer; this environment runs on "
            f'{python}): write "torch=={last["torch"]}.*" into its dependencies, then lock it with `--build {build}`.'
        )
    return "No PyTorch in gpurig/torch_builds.toml has one: use other GPUs, or the same kind in all slots, or a newer driver."


def _architectures(build: str, torch: str) -> list[Capability]:
    """What a build has code for; empty for a build that the table does not know, of which nothing is claimed."""
    row = _table()["build"].get(build, {})
    dropped = [
        _capability(change["capability"])
        for change in row.get("dropped", ())
        if torch and drivers.parts(torch)[:2] >= drivers.parts(change["from"])
    ]
    return [found for text in row.get("architectures", ()) if (found := _capability(text)) not in dropped]


def _release(torch: str) -> Mapping[str, Any]:
    """The table's row for a version of PyTorch; an empty one where it has none."""
    wanted = drivers.parts(torch)[:2]
    return next((row for row in _table()["release"] if drivers.parts(row["torch"]) == wanted), {})


def _capability(text: str) -> Capability:
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)


def _text(capability: Capability) -> str:
    return "{}.{}".format(*capability)


@functools.cache
def _table() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
