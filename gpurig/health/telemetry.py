"""What nvidia-smi tells of each GPU: memory errors, clocks, PCIe link, temperature, power, modes, NVLink."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gpurig.health import ecc, models, nvlink, recording, thresholds
from gpurig.health.busy import memory_temperature, reasons, temperature, under_load
from gpurig.health.cells import broken, not_told, number, of_server, text
from gpurig.health.finding import Finding, Wanted
from gpurig.health.recording import Row

__all__ = ["judge", "under_load"]

BUSY_PART = 0.5
"""Part of its power limit from which a GPU counts as busy, and so may be warmer."""

HOLD = 0xC8
"""Bits of clocks_event_reasons.active that an idle GPU has no reason for."""

REST = "cards save power at rest; run `rig verify` without --quick to measure it under load"


def judge(found: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    """Every finding about what nvidia-smi says of GPUs at rest, and of their NVLinks."""
    if reason := recording.skipped(found, "smi"):
        yield Finding(name="nvidia-smi's fields", verdict="SKIP", reason=reason)
        return
    smi = recording.section(found, "smi")
    query, listed = recording.run_of(smi.get("query")), recording.gpus(found)
    if not listed:
        yield _no_rows(query)
        return
    loaded = bool(recording.section(found, "speed").get("samples"))
    for index, row in enumerate(listed):
        gpu = f"GPU {index}"
        if bad := broken(f"{gpu}: answers", row):
            yield bad
            continue
        yield from ecc.judge(gpu, row, wanted)
        yield from _at_rest(gpu, row, wanted, loaded=loaded)
    yield from _alike(listed)
    yield from nvlink.judge(smi, wanted, len(listed))


def _no_rows(query: recording.Run) -> Finding:
    unknown = "not a valid field" in query.out + query.err
    return Finding(
        name="nvidia-smi's fields",
        verdict="SKIP" if unknown else "FAIL",
        value=query.words,
        expected="one line for each GPU",
        reason=f"this nvidia-smi does not know a field: {query.words}" if unknown else "It tells nothing of any GPU.",
        advice="" if unknown else "See what it says on the host: `nvidia-smi -q`.",
    )


def _at_rest(gpu: str, row: Row, wanted: Wanted, *, loaded: bool) -> Iterator[Finding]:
    drawn, limit = number(row, "power.draw"), number(row, "enforced.power.limit", "power.limit")
    busy = bool(drawn and limit and drawn > BUSY_PART * limit)
    yield temperature(f"{gpu}: temperature", row, wanted, "warm_temperature_busy" if busy else "warm_temperature_idle")
    yield from memory_temperature(f"{gpu}: memory's temperature", [row], wanted)
    yield _power_limit(f"{gpu}: power limit", row, wanted)
    if not loaded:
        yield _link(f"{gpu}: PCIe link", row, wanted)
    yield _clocks(f"{gpu}: clocks at rest", row, wanted)
    yield _memory_used(f"{gpu}: memory in use", row, wanted)
    yield _persistence(f"{gpu}: persistence mode", row, wanted)
    if of_server(row):
        yield _mode(
            f"{gpu}: MIG",
            row,
            wanted,
            field="mig.mode.current",
            fine="Disabled",
            reason="The GPU is split; a program gets a part of it only.",
            advice="Run `nvidia-smi --multi-instance-gpu=0` on the host, if the whole GPU is wanted.",
        )
    yield _mode(
        f"{gpu}: compute mode",
        row,
        wanted,
        field="compute_mode",
        fine="Default",
        reason="Only one program, or none, may use the GPU at a time (CUDA's code 46).",
        advice="Run `nvidia-smi --compute-mode=0` on the host.",
    )


def _power_limit(name: str, row: Row, wanted: Wanted) -> Finding:
    limit, usual = number(row, "enforced.power.limit", "power.limit"), number(row, "power.default_limit")
    if not limit or not usual:
        return not_told(name, row, "power.default_limit", wanted)
    least = thresholds.of("min_power_part", wanted)
    fine = limit >= least.value * usual
    return Finding(
        name=name,
        verdict="PASS" if fine else "WARN",
        value=f"{limit:.0f} W of {usual:.0f} W",
        expected=f"{least.value:.0%} of this model's default or more",
        source=least.source,
        reason="" if fine else "Its power is capped, so it is slower than others of its model.",
        advice=""
        if fine
        else f"Run `nvidia-smi --power-limit={usual:.0f}` on a host of your own; a rented one stays so.",
        figure=limit,
        unit="W",
    )


def _link(name: str, row: Row, wanted: Wanted) -> Finding:
    lanes, most = number(row, "pcie.link.width.current"), number(row, "pcie.link.width.max")
    now = number(row, "pcie.link.gen.gpucurrent", "pcie.link.gen.current")
    best = number(row, "pcie.link.gen.max")
    if lanes is None or most is None or now is None or best is None:
        return not_told(name, row, "pcie.link.width.current", wanted)
    value = f"generation {now:g} of {best:g}, x{lanes:g} of x{most:g}"
    least, width = thresholds.of("min_pcie_width", wanted), thresholds.accepted("min_pcie_width", wanted)
    generation = thresholds.accepted("min_pcie_generation", wanted)
    card = models.link(text(row, "name"), wanted)
    own = models.accepted(card, wanted) if card else None
    if own and (most < own.lanes or best < own.generation):
        return Finding(
            name=name,
            verdict="WARN",
            value=value,
            expected=f"generation {own.generation}, x{own.lanes}, which the model has",
            source="gpurig/health/models.toml",
            reason="The system gives the card less than it can use: copies to and from it are slower.",
            advice="Use another slot, or set its generation to Auto in the BIOS; of a rented machine, take another.",
        )
    if lanes < (width.value if width else most) or now < (generation.value if generation else best):
        return Finding(name=name, verdict="SKIP", value=value, reason=REST)
    return Finding(name=name, verdict="PASS", value=value, expected="what GPU and system can", source=least.source)


def _clocks(name: str, row: Row, wanted: Wanted) -> Finding:
    if (mask := reasons(row)) is None:
        return not_told(name, row, "clocks_event_reasons.active", wanted)
    held = mask & HOLD
    return Finding(
        name=name,
        verdict="WARN" if held else "PASS",
        value=f"{mask:#x}",
        expected=f"none of the bits {HOLD:#x}: slowdown by hardware, heat or power supply",
        source="NVIDIA, nvml.h: nvmlClocksEventReasons",
        reason="The hardware holds the clocks down although little is done." if held else "",
        advice="Look at its power cables and its cooling, and verify again without --quick." if held else "",
    )


def _memory_used(name: str, row: Row, wanted: Wanted) -> Finding:
    if (used := number(row, "memory.used")) is None:
        return not_told(name, row, "memory.used", wanted)
    screen = wanted.platform == "wsl2" or text(row, "display_active") == "Enabled"
    most = thresholds.of("max_memory_used_desktop" if screen else "max_memory_used", wanted)
    fine = used <= most.value
    whose = f"Something uses the GPU{f', maybe its {services}' if (services := _named(wanted.services)) else ''}"
    accept = f" If it is its {services}, and meant to be so, write `gpu_{most.name}: {_rounded(used)}` under the host's `variables`."
    return Finding(
        name=name,
        verdict="PASS" if fine else "WARN",
        value=f"{used:.0f} MiB",
        expected=f"at most {most.value:g} MiB when nothing of yours runs",
        source=most.source,
        reason="" if fine else f"{whose}; what is measured now is too slow, and less memory is left.",
        advice=""
        if fine
        else f"See `nvidia-smi` on the host; end what should not run, then verify again.{accept if services else ''}",
    )


def _named(services: Sequence[str]) -> str:
    return f"service{'' if len(services) == 1 else 's'} {' or '.join(services)}" if services else ""


def _rounded(used: float) -> int:
    """The next 500 MiB above a tenth more."""
    return 500 * (int(1.1 * used) // 500 + 1)


def _persistence(name: str, row: Row, wanted: Wanted) -> Finding:
    found = text(row, "persistence_mode")
    if wanted.platform != "native":
        return Finding(name=name, verdict="SKIP", reason="only the machine that has the driver can set it")
    if not found:
        return not_told(name, row, "persistence_mode", wanted)
    fine = found == "Enabled"
    return Finding(
        name=name,
        verdict="PASS" if fine else "WARN",
        value=found,
        expected="Enabled",
        source="NVIDIA DCGM, diagnostics: persistence mode",
        reason="" if fine else "Without a running program the driver is unloaded, and each start takes seconds.",
        advice="" if fine else "Run `systemctl enable --now nvidia-persistenced` on the host.",
    )


def _mode(name: str, row: Row, wanted: Wanted, *, field: str, fine: str, reason: str, advice: str) -> Finding:
    if not (found := text(row, field)):
        return not_told(name, row, field, wanted)
    return Finding(
        name=name,
        verdict="PASS" if found == fine else "WARN",
        value=found,
        expected=fine,
        source=f"NVIDIA, nvidia-smi manual: {field}",
        reason="" if found == fine else reason,
        advice="" if found == fine else advice,
    )


def _alike(listed: list[Row]) -> Iterator[Finding]:
    """Cards of one model should have one firmware: a difference is a card that was exchanged."""
    versions = {(text(row, "name"), text(row, "vbios_version")) for row in listed if text(row, "vbios_version")}
    models = {model for model, _ in versions}
    if len(listed) > 1 and versions:
        fine = len(versions) == len(models)
        yield Finding(
            name="GPUs: firmware",
            verdict="PASS" if fine else "WARN",
            value=", ".join(sorted(version for _, version in versions)),
            expected="one version for all GPUs of a model",
            source="Imbue, host health checks: VBIOS",
            reason="" if fine else "Cards with different firmware may differ in clocks and power.",
            advice="" if fine else "Compare their figures under load; nothing need be done where they are alike.",
        )
