"""Samples of nvidia-smi taken while a GPU is busy: only then do clocks, PCIe link, temperature and power tell something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gpurig.health import models, thresholds
from gpurig.health.cells import broken, not_told, number, text
from gpurig.health.finding import Finding, Wanted
from gpurig.health.recording import Row, rows, run_of
from gpurig.verdict import Verdict, at_most

NAME = "telemetry under load"

REASONS = {
    0x4: "power limit",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x200: "board limit",
    0x400: "reliability limit",
}
"""Bits of clocks_event_reasons.active that hold clocks down: nvml.h 13.5."""

BEFORE_BURN = 3
"""Samples that every full verification takes; those that follow are a burn's."""

IDLE = 0x1
IDLE_STATE = 5
"""Performance state, P5, from which on a GPU is saving power."""

LANES = "Fewer lanes than the GPU could use: a riser, a shared slot or a bad contact. Copies to and from it are slower."
GENERATION = "The link is slower than GPU and system could: a riser, the BIOS's setting or a bad contact."
RESEAT = (
    "Reseat the card in a slot of its own, without a riser, with the generation on Auto in the BIOS; of a rented machine, "
    "take another. If it is meant to be so, write `gpu_{threshold}: {found}` under the host's `variables`."
)


def under_load(samples: Sequence[Mapping[str, Any]], fields: Sequence[str], wanted: Wanted) -> Iterator[Finding]:
    """Judge outputs of nvidia-smi's query of these fields, each taken while every GPU was busy."""
    runs = [run_of(sample) for sample in samples]
    tables = [table for run in runs if run.code == 0 and (table := rows(run, fields))]
    if not tables:
        said = f"nvidia-smi said: {runs[0].words}" if runs else "no sample was taken"
        yield Finding(name=NAME, verdict="SKIP", reason=f"{said}, so nothing was measured while the GPU was busy")
        return
    for index in range(max(len(table) for table in tables)):
        of_gpu = [table[index] for table in tables if index < len(table)]
        if bad := [finding for row in of_gpu if (finding := broken(f"GPU {index}: answers under load", row))]:
            yield bad[0]
            continue
        at_work = [row for row in of_gpu if not _idle(row)]
        if not at_work:
            reason = "the GPU was idle when the samples were taken"
            yield Finding(name=f"GPU {index}: under load", verdict="SKIP", reason=reason)
            continue
        yield _clocks(f"GPU {index}: clocks under load", at_work, wanted)
        yield _clock(f"GPU {index}: clock under load", at_work, wanted)
        yield _temperature(f"GPU {index}: temperature under load", at_work, wanted)
        yield from memory_temperature(f"GPU {index}: memory's temperature under load", at_work, wanted)
        yield _power(f"GPU {index}: power under load", at_work, wanted)
        yield _link(f"GPU {index}: PCIe lanes under load", at_work, wanted, lanes=True)
        yield _link(f"GPU {index}: PCIe generation under load", at_work, wanted, lanes=False)


def temperature(name: str, row: Row, wanted: Wanted, warm: str) -> Finding:
    """Judge a temperature. warm: the threshold from which it is a warning."""
    if (found := number(row, "temperature.gpu")) is None:
        return not_told(name, row, "temperature.gpu", wanted)
    hot, soon = thresholds.of("max_temperature", wanted), thresholds.of(warm, wanted)
    least = thresholds.of("min_temperature_margin", wanted)
    margin = number(row, "temperature.gpu.tlimit")
    at_limit = margin is not None and margin <= least.value
    verdict: Verdict = "FAIL" if found >= hot.value or at_limit else "WARN" if found >= soon.value else "PASS"
    left = "" if margin is None else f", {margin:.0f} °C before it slows down"
    return Finding(
        name=name,
        verdict=verdict,
        value=f"{found:.0f} °C{left}",
        expected=f"below {min(soon.value, hot.value):g} °C; {hot.value:g} °C and more fail",
        source=least.source if at_limit else hot.source if found >= hot.value else soon.source,
        reason="" if verdict == "PASS" else "Its cooling is not enough; it slows down, and ages faster.",
        advice=""
        if verdict == "PASS"
        else "Clean its fans and look at the air flow; of a rented machine, take another.",
        figure=found,
        unit="°C",
    )


def memory_temperature(name: str, rows_of_gpu: Sequence[Row], wanted: Wanted) -> Iterator[Finding]:
    """Judge the memory's temperature, the hottest of these rows; nothing where it is not told, as by most GPUs."""
    told = [value for row in rows_of_gpu if (value := number(row, "temperature.memory")) is not None]
    if not told:
        return
    hot, soon = (thresholds.of(f"{word}_memory_temperature", wanted) for word in ("max", "warm"))
    found = max(told)
    verdict: Verdict = "FAIL" if found >= hot.value else "WARN" if found >= soon.value else "PASS"
    yield Finding(
        name=name,
        verdict=verdict,
        value=f"{found:.0f} °C",
        expected=f"below {min(soon.value, hot.value):g} °C; {hot.value:g} °C and more fail",
        source=hot.source if verdict == "FAIL" else soon.source,
        reason="" if verdict == "PASS" else "Its memory's cooling is not enough; it slows down, and ages faster.",
        advice="" if verdict == "PASS" else "Clean its fans, look at the air flow and the memory's thermal pads.",
        figure=found,
        unit="°C",
    )


def reasons(row: Row) -> int | None:
    """The bits that hold its clocks down; None where it does not tell them."""
    held = row.get("clocks_event_reasons.active")
    return held.bits if held else None


def _temperature(name: str, at_work: Sequence[Row], wanted: Wanted) -> Finding:
    hottest = max(at_work, key=lambda row: number(row, "temperature.gpu") or 0.0)
    return temperature(name, hottest, wanted, "warm_temperature_busy")


def _clocks(name: str, at_work: Sequence[Row], wanted: Wanted) -> Finding:
    masks = [mask for row in at_work if (mask := reasons(row)) is not None]
    if not masks:
        return not_told(name, at_work[0], "clocks_event_reasons.active", wanted)
    failing, warning = (thresholds.of(f"{word}_clock_reasons", wanted) for word in ("failing", "warning"))
    slow = [bool(mask & int(failing.value)) for mask in masks]
    warm = any(mask & int(warning.value) for mask in masks)
    verdict: Verdict = "FAIL" if _often(slow, wanted) else "WARN" if any(slow) or warm else "PASS"
    counted = {words: sum(bool(mask & bit) for mask in masks) for bit, words in REASONS.items()}
    held = [f"{words} in {times} of {len(masks)} samples" for words, times in counted.items() if times]
    return Finding(
        name=name,
        verdict=verdict,
        value="; ".join(held) or f"nothing holds them down in {len(masks)} samples",
        expected=f"no slowdown by heat or power supply (bits {int(failing.value) | int(warning.value):#x}); "
        "the power limit is normal",
        source=failing.source,
        reason="" if verdict == "PASS" else "The GPU protects itself by halving its clock, or by lowering it.",
        advice=""
        if verdict == "PASS"
        else "Look at its cooling, its power cables and its power supply; of a rented machine, take another.",
    )


def _often(slow: Sequence[bool], wanted: Wanted) -> bool:
    """Whether a GPU was slowed down too often: in the few samples of every verification, or in a part of a burn's many."""
    few, of_burn = slow[:BEFORE_BURN], slow[BEFORE_BURN:]
    least, part = (thresholds.of(f"min_slow_{word}", wanted).value for word in ("samples", "part"))
    return sum(few) >= least or (bool(of_burn) and sum(of_burn) >= max(least, part * len(of_burn)))


def _clock(name: str, at_work: Sequence[Row], wanted: Wanted) -> Finding:
    found = max((clock for row in at_work if (clock := number(row, "clocks.sm")) is not None), default=None)
    most = number(at_work[0], "clocks.max.sm")
    if found is None or not most:
        return not_told(name, at_work[0], "clocks.sm", wanted)
    least = thresholds.of("min_clock_part", wanted)
    fine = found >= least.value * most
    return Finding(
        name=name,
        verdict="PASS" if fine else "WARN",
        value=f"{found:.0f} MHz of {most:.0f} MHz",
        expected=f"{least.value:.0%} of its maximum or more",
        source=least.source,
        reason="" if fine else "It is busy, and its clock stays low.",
        advice=""
        if fine
        else "See `nvidia-smi -q -d CLOCK,PERFORMANCE` on the host: a locked clock, a low power limit or heat.",
        figure=found,
        unit="MHz",
    )


def _power(name: str, at_work: Sequence[Row], wanted: Wanted) -> Finding:
    drawn = [watts for row in at_work if (watts := number(row, "power.draw")) is not None]
    limit = next((watts for row in at_work if (watts := number(row, "enforced.power.limit", "power.limit"))), None)
    if not drawn or not limit:
        return not_told(name, at_work[0], "power.draw", wanted)
    most = thresholds.of("max_power_part", wanted)
    verdict = at_most(max(drawn) / limit, warn=most.value, fail=float("inf"))
    return Finding(
        name=name,
        verdict=verdict,
        value=f"{max(drawn):.0f} W of {limit:.0f} W",
        expected=f"at most {most.value:.0%} of its limit",
        source=most.source,
        reason=""
        if verdict == "PASS"
        else "It draws more than it is allowed to; its sensor or its limit may be wrong.",
        advice="" if verdict == "PASS" else "See `nvidia-smi -q -d POWER` on the host.",
        figure=max(drawn),
        unit="W",
    )


def _link(name: str, at_work: Sequence[Row], wanted: Wanted, *, lanes: bool) -> Finding:
    current = ("pcie.link.width.current",) if lanes else ("pcie.link.gen.gpucurrent", "pcie.link.gen.current")
    found = max((value for row in at_work if (value := number(row, *current)) is not None), default=None)
    could = number(at_work[0], "pcie.link.width.max" if lanes else "pcie.link.gen.max")
    least = thresholds.of("min_pcie_width" if lanes else "min_pcie_generation", wanted)
    target = least.value or could
    if found is None or target is None:
        return not_told(name, at_work[0], current[0], wanted)
    could = max(could or 0.0, target, _of_model(at_work[0], wanted, lanes=lanes))
    enough = target if thresholds.accepted(least.name, wanted) else could
    verdict: Verdict = "FAIL" if found < target else "WARN" if found < enough else "PASS"
    if wanted.platform == "wsl2" and verdict == "FAIL":
        verdict = "WARN"  # Windows has the link; what the guest reads of it is not always so
    sign = "x" if lanes else "generation "
    return Finding(
        name=name,
        verdict=verdict,
        value=f"{sign}{found:g}",
        expected=f"{sign}{target:g}" + (f"; the GPU could {sign}{could:g}" if could > target else ""),
        source=least.source,
        reason="" if verdict == "PASS" else LANES if lanes else GENERATION,
        advice="" if verdict == "PASS" else RESEAT.format(threshold=least.name, found=f"{found:g}"),
        figure=found,
        unit="lanes" if lanes else "generation",
    )


def _of_model(row: Row, wanted: Wanted, *, lanes: bool) -> float:
    """Lanes, or generation, of the model's own link; 0 where it is not known. nvidia-smi's maximum is the system's, too."""
    link = models.link(text(row, "name"), wanted)
    return 0.0 if link is None else float(link.lanes if lanes else link.generation)


def _idle(row: Row) -> bool:
    mask, state = reasons(row), row.get("pstate")
    if mask is not None:
        return bool(mask & IDLE)
    return state is not None and state.text[1:].isdigit() and int(state.text[1:]) >= IDLE_STATE
