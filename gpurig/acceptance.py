"""Whether a rented machine is what was paid for. What is found on it comes from gpurig.readings, and is judged here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from gpurig import clock, drivers, gpus, readings
from gpurig.health import thresholds
from gpurig.health.finding import Wanted
from gpurig.host import Host
from gpurig.providers import BrokenError, Report
from gpurig.readings import Device, Readings
from gpurig.rental import RentalSpec
from gpurig.stack import Stack

GB, GIB = 10**9, 2**30

DISK, LINK = 0.9, 0.5
"""Parts of what was promised that must be there: disk, download speed. Of GPU memory: gpurig/health/thresholds.toml."""

DISK_LEFT = 0.25
"""Part of a disk of just the promised size that the image must leave free."""

WAKING_SECONDS = 60.0
"""How long after its first SSH session a machine of its own may take until its driver is loaded and its GPU answers."""

LOOK_SECONDS = 10.0


def check(stack: Stack, host: Host, spec: RentalSpec, promised: Mapping[str, Any], *, report: Report) -> None:
    """Raise BrokenError with every way in which the machine is not what was paid for. promised: the offer, as noted."""
    report(f"{host.name}: checking its GPU, driver, CUDA and disk")
    found = _awake(stack, host, spec, report)
    problems = list(judge(found, spec, promised))
    if problems:
        raise BrokenError("; ".join(problems))
    names = ", ".join(f"{count} × {name}" for name, count in Counter(d.name for d in found.devices).items())
    report(
        f"{host.name}: accepted: {names}, driver {found.driver or 'unknown'}, CUDA works, {found.free / GB:.0f} GB of "
        f"disk free{f', link {_link_in_words(found, least_link(spec, promised))}' if spec.link else ''}"
    )


def _awake(stack: Stack, host: Host, spec: RentalSpec, report: Report) -> Readings:
    """The readings, once the GPU answers or had time to: SSH may be up before the driver, in a container it is not."""
    deadline = clock.monotonic() + (WAKING_SECONDS if host.capabilities.kernel == "own" else 0)
    while True:
        begun = clock.monotonic()
        found = readings.gather(stack, host, spec)
        if not (found.smi or found.cuda) or begun >= deadline:
            return found
        report(f"{host.name}: waiting for its GPU ({found.cuda or found.smi})")
        clock.sleep(LOOK_SECONDS)


def judge(found: Readings, spec: RentalSpec, promised: Mapping[str, Any]) -> Iterator[str]:
    """Every reason not to accept a machine; nothing where it is what was paid for."""
    if found.smi:
        yield found.smi
    if found.cuda:
        yield f"CUDA does not work: {found.cuda}"
    if not found.smi or found.devices:
        yield from _judge_gpus(found.devices, spec, promised)
    driver, environment = drivers.needed(spec.environments)
    if driver and not found.driver:
        yield f"its driver's version cannot be told; environment {environment} needs {driver} or newer"
    elif driver and not drivers.enough(found.driver, driver):
        yield f"its driver is {found.driver}; environment {environment} needs {driver} or newer"
    if not _has_disk(found, spec.disk * GB):
        yield (
            f"its home folder has {found.free / GB:.1f} GB free of {found.disk / GB:.1f} GB; {spec.disk} GB were paid "
            f"for, and {DISK:.0%} of that are required"
        )
    wanted = least_link(spec, promised)
    if wanted and found.certain and found.link is not None and found.link < wanted:
        yield f"it downloads {found.link:.0f} Mbit/s; at least {wanted:.0f} are required of what was promised"


def _judge_gpus(devices: tuple[Device, ...], spec: RentalSpec, promised: Mapping[str, Any]) -> Iterator[str]:
    count = int(promised.get("count") or spec.count)
    part = thresholds.of("min_memory_part", Wanted(platform="native", policy=thresholds.policy(spec.variables))).value
    if len(devices) != count:
        yield f"{len(devices)} GPUs can be used; {count} were paid for"
    for device, times in Counter(devices).items():
        model = gpus.find(device.name, device.memory / GIB) or gpus.find(device.name)
        of_them = f"{times} of its GPUs are" if times > 1 else "its GPU is"
        least = max(model.memory if model else 0, spec.memory or 0)
        if model is None or model.name != spec.gpu:
            yield f"{of_them} {device.name} with {device.memory / GB:.0f} GB; {spec.gpu} was paid for"
        elif device.memory < part * least * GB:
            yield (
                f"{of_them} {device.name} with {device.memory / GB:.1f} GB; {least:g} GB were paid for, and "
                f"{part:.0%} of that are required"
            )


def _has_disk(found: Readings, promised: int) -> bool:
    """What was promised is free; or the file system is just about that large, and holds the image too."""
    own = DISK * promised <= found.disk < 2 * promised
    return found.free >= (DISK_LEFT if own else DISK) * promised


def least_link(spec: RentalSpec, promised: Mapping[str, Any]) -> float:
    """Mbit/s that a machine must reach: part of what its offer promised, but never more than was wished. 0: nothing is asked."""
    return min(spec.link, LINK * float(promised.get("link") or spec.link)) if spec.link else 0.0


def _link_in_words(found: Readings, wanted: float) -> str:
    if found.link is None:
        return "not measured"
    if found.certain or found.link >= wanted:
        return f"{found.link:.0f} Mbit/s"
    return (
        f"{found.link:.0f} Mbit/s or more (from here no more can be seen; GPURIG_LINK_URL names a file to measure with)"
    )
