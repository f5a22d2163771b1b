"""How fast each GPU is, by its model and by what this host used to do; and what it tells of itself while it is busy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gpurig.health import models, recording, telemetry, thresholds
from gpurig.health.cells import number as cell
from gpurig.health.cuda import BAD, HANG
from gpurig.health.figures import Peak, Words, graded, number, part, parts
from gpurig.health.finding import Finding, Wanted
from gpurig.health.models import Link, Model
from gpurig.health.numbers import label
from gpurig.verdict import Verdict

NAME = "PyTorch: speed"

COOL = "See its temperature, clocks and power limit under load above, and what else uses it; of a rented machine, take another."
CAPPED = 0.98
"""Part of its default power limit below which a GPU counts as capped."""


def judge(found: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    """Every finding about speed, and about the GPUs under load."""
    if reason := recording.skipped(found, "speed"):
        yield Finding(name=NAME, verdict="SKIP", reason=reason)
        return
    speed = recording.section(found, "speed")
    devices = parts(speed.get("devices"))
    if speed.get("problem") or not devices:
        yield _failed(NAME, str(speed.get("problem") or "no GPU was measured"))
        return
    if speed.get("device") != "cpu":
        yield from telemetry.under_load(parts(speed.get("samples")), recording.strings(speed.get("fields")), wanted)
    for device in devices:
        yield from _of_device(found, device, label(speed, device), wanted)
    burn = part(speed.get("burn"))
    for device in parts(burn.get("devices")):
        yield _burn(f"{label(speed, device)}: burn", device, number(burn, "minutes") or 0.0, wanted)


def _of_device(found: Mapping[str, Any], device: Mapping[str, Any], gpu: str, wanted: Wanted) -> Iterator[Finding]:
    if device.get("skipped"):
        yield Finding(name=f"{gpu}: speed", verdict="SKIP", reason=str(device["skipped"]))
        return
    name = str(device.get("name") or "")
    model = models.find(name, number(device, "memory") or 0.0)
    row = _busy_row(found, device)
    matmul = part(device.get("matmul"))
    kind = str(matmul.get("type") or "bf16")
    unknown = (
        f"gpurig/health/models.toml has no such figure of {name or 'this GPU'}, so nothing is known to compare with"
    )
    if (best := number(matmul, "best")) is not None:
        peak = _matmul_peak(model, wanted) if kind == "bf16" else None
        low = f"It multiplies matrices slower than its model should{_capped(row, peak, best)}."
        words = Words(unknown=unknown, low=low, advice=COOL)
        yield graded(f"{gpu}: {kind} matmul", best, "TFLOPS", wanted, peak=peak, words=words)
    if (best := number(part(device.get("copy")), "best")) is not None:
        words = Words(unknown=unknown, low="Its memory is slower than its model's should be.", advice=COOL)
        yield graded(f"{gpu}: device copy", best, "GB/s", wanted, peak=_copy_peak(model, wanted), words=words)
    else:
        yield _not_measured(f"{gpu}: device copy", device, "copy")
    for key, direction in (("to_device", "to"), ("from_device", "from")):
        name = f"{gpu}: pinned copy {direction} device"
        if (best := number(part(device.get(key)), "best")) is not None:
            peak, words = _pinned_peak(row, model, wanted), _pinned_words(row, unknown)
            yield _by_model(graded(name, best, "GB/s", wanted, peak=peak, words=words), row, model, wanted)
        else:
            yield _not_measured(name, device, key)
    if device.get("problem") or number(matmul, "best") is None:
        yield _failed(f"{gpu}: speed", str(device.get("problem") or "no figure was taken"))


def _matmul_peak(model: Model | None, wanted: Wanted) -> Peak | None:
    if model is None or model.bf16 is None:
        return None
    fail = "fail_matmul_part_wsl2" if wanted.platform == "wsl2" else "fail_matmul_part"
    return Peak(
        value=model.bf16,
        what=f"{model.name}'s {model.bf16:g} TFLOPS",
        source=model.source,
        fail=thresholds.of(fail, wanted),
        warn=thresholds.of("warn_matmul_part", wanted),
    )


def _copy_peak(model: Model | None, wanted: Wanted) -> Peak | None:
    if model is None or model.memory is None:
        return None
    return Peak(
        value=model.memory,
        what=f"{model.name}'s {model.memory:g} GB/s",
        source=model.source,
        fail=thresholds.of("fail_copy_part", wanted),
        warn=thresholds.of("warn_copy_part", wanted),
    )


def _pinned_peak(row: recording.Row, model: Model | None, wanted: Wanted) -> Peak | None:
    """Of the link as it is, since its own width and generation are judged elsewhere; of the model's where none is told."""
    told = _link(row)
    link = told or (model.link if model else None)
    if link is None or not link.speed:
        return None
    return Peak(
        value=link.speed,
        what=f"PCIe {link.generation}.0 x{link.lanes}'s {link.speed:.3g} GB/s",
        source="PCI-SIG" + ("" if told else "; the link that the model has, since this host does not tell its own"),
        fail=thresholds.of("fail_pinned_part", wanted),
        warn=thresholds.of("warn_pinned_part", wanted),
        lenient=wanted.platform == "wsl2" or told is None,
    )


def _by_model(finding: Finding, row: recording.Row, model: Model | None, wanted: Wanted) -> Finding:
    """The same, and a warning where the link that the model has would be faster than the one that the system gives it."""
    told, own = _link(row), models.accepted(model.link, wanted) if model and model.link else None
    if wanted.platform == "wsl2" or not told or not own or told.speed >= own.speed or finding.verdict != "PASS":
        return finding
    least = thresholds.of("warn_pinned_part", wanted).value * own.speed
    if finding.figure is None or finding.figure >= least:
        return finding
    return replace(
        finding,
        verdict="WARN",
        expected=f"{finding.expected}; {least:.4g} GB/s or more on PCIe {own.generation}.0 x{own.lanes}, which the model has",
        reason="Its link is as fast as it is set up, and slower than the card's own.",
        advice="See its PCIe lanes and generation under load above; of a rented machine, take another where it matters.",
    )


def _not_measured(name: str, device: Mapping[str, Any], key: str) -> Finding:
    why = str(part(device.get(key)).get("skipped") or device.get("problem") or "the recording has no figure of it")
    return Finding(name=name, verdict="SKIP", reason=f"it was not measured: {why}")


def _pinned_words(row: recording.Row, unknown: str) -> Words:
    return Words(
        unknown=unknown if _link(row) is None else "this generation of PCIe is not known here",
        low="Copies between the machine's memory and the GPU are slower than their link.",
        advice="See whether the GPU sits at another processor's lanes (`nvidia-smi topo -m`), and what else uses the link.",
    )


def _link(row: recording.Row) -> Link | None:
    generation = cell(row, "pcie.link.gen.gpucurrent", "pcie.link.gen.current")
    lanes = cell(row, "pcie.link.width.current")
    return Link(int(generation), int(lanes)) if generation and lanes else None


def _busy_row(found: Mapping[str, Any], device: Mapping[str, Any]) -> recording.Row:
    """What nvidia-smi said of this GPU in the sample in which its link was fastest; empty where it said nothing."""
    speed = recording.section(found, "speed")
    fields = recording.strings(speed.get("fields"))
    listed = [recording.rows(recording.run_of(sample), fields) for sample in parts(speed.get("samples"))]
    index = int(number(device, "index") or 0)
    of_gpu = [rows[index] for rows in listed if index < len(rows)]
    return max(of_gpu, key=lambda row: link.speed if (link := _link(row)) else 0.0, default={})


def _capped(row: recording.Row, peak: Peak | None, best: float) -> str:
    limit, usual = cell(row, "enforced.power.limit", "power.limit"), cell(row, "power.default_limit")
    if not peak or not limit or not usual or limit >= CAPPED * usual:
        return ""
    scaled = best / (peak.value * limit / usual)
    return f"; its power is capped at {limit:.0f} W of {usual:.0f} W, and measured by that it reaches {scaled:.0%} of its peak"


def _burn(name: str, device: Mapping[str, Any], minutes: float, wanted: Wanted) -> Finding:
    times, different = number(device, "times"), number(device, "different")
    first, last = number(device, "first"), number(device, "last")
    if device.get("problem") or not times or different is None or first is None or last is None:
        return _failed(name, str(device.get("problem") or "no result"))
    least = thresholds.of("min_burn_part", wanted)
    slower = last < least.value * first and not name.startswith("CPU")  # others use that one too
    verdict: Verdict = "FAIL" if different else "WARN" if slower else "PASS"
    return Finding(
        name=name,
        verdict=verdict,
        value=f"{different:.0f} of {times:.0f} products differ in {minutes:g} min; {first:.4g} TFLOPS at first, {last:.4g} at last",
        expected=f"the same bits every time, and {least.value:.0%} of the first TFLOPS or more at last",
        source="Imbue, gpu_stress_test" if different else least.source,
        reason="The same product gave different bits: silent data corruption."
        if different
        else "It gets slower as it gets warm."
        if slower
        else "",
        advice=BAD if different else COOL if slower else "",
        figure=last,
        unit="TFLOPS",
    )


def _failed(name: str, said: str) -> Finding:
    return Finding(
        name=name,
        verdict="FAIL",
        value=said,
        expected="all figures are taken",
        source="PyTorch",
        reason="Its speed could not be measured.",
        advice=HANG if "no answer within" in said else "See the kernel's log on the host, and what else uses the GPU.",
    )
