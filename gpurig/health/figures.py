"""Figures of speed: graded by what the model can do, and by what this host used to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gpurig.health import thresholds
from gpurig.health.finding import Finding, Wanted
from gpurig.health.thresholds import Threshold
from gpurig.verdict import Verdict, at_least

SLOWER = "It is slower than this host used to be."
AGAIN = (
    "See what else uses the GPU (`nvidia-smi` on the host), and verify again. If it is meant to be so, "
    "`rig verify HOST --new-usual` makes what it measures the usual."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Peak:
    """What a figure is a part of. warn, fail: parts below which it is a warning, or fails. lenient: it never FAILs.

    A user's own `fail` may be the stricter one: then there is no room for a warning.
    """

    value: float
    what: str
    source: str
    fail: Threshold
    warn: Threshold
    lenient: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """What to say of a figure. unknown: why there is no peak. low, advice: what a low one means, and what to do."""

    unknown: str
    low: str
    advice: str


def graded(name: str, value: float, unit: str, wanted: Wanted, *, peak: Peak | None, words: Words) -> Finding:
    """The finding of a figure: judged by its peak where that is known, and by this host's own usual value."""
    usual, least = wanted.baseline.get(name), thresholds.of("min_part_of_usual", wanted)
    slower = bool(usual) and value < least.value * (usual or 0)
    verdict: Verdict = _verdict(value, peak) if peak else "SKIP"
    low = verdict in ("FAIL", "WARN")
    if slower and not low:
        verdict = "WARN"
    expected = [_expected(peak, unit)] if peak else []
    if usual:
        expected.append(f"{least.value:.0%} of this host's usual {usual:.4g} {unit} or more")
    return Finding(
        name=name,
        verdict=verdict,
        value=f"{value:.4g} {unit}" + (f", {value / peak.value:.0%} of {peak.what}" if peak else ""),
        expected="; ".join(expected),
        source="; ".join(_sources(peak, least if usual else None)),
        reason=words.low if low else SLOWER if slower else "" if peak else words.unknown,
        advice=words.advice if low else AGAIN if slower else "",
        figure=value,
        unit=unit,
    )


def number(part: Mapping[str, Any], key: str) -> float | None:
    """A number of a recording; None where there is none, or it is none."""
    value = part.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def parts(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a recording's list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def part(value: Any) -> Mapping[str, Any]:
    """An object of a recording; empty where it is none."""
    return value if isinstance(value, dict) else {}


def _verdict(value: float, peak: Peak) -> Verdict:
    verdict = at_least(value, warn=peak.warn.value * peak.value, fail=peak.fail.value * peak.value)
    return "WARN" if verdict == "FAIL" and peak.lenient else verdict


def _expected(peak: Peak, unit: str) -> str:
    part = max(peak.warn.value, peak.fail.value)
    warn, fail = part * peak.value, peak.fail.value * peak.value
    fails = "" if peak.lenient or warn == fail else f"; below {fail:.4g} {unit} it fails"
    return f"{warn:.4g} {unit} or more ({part:.0%} of {peak.what}){fails}"


def _sources(peak: Peak | None, usual: Threshold | None) -> list[str]:
    if peak is None:
        return [usual.source] if usual else []
    of_user = [peak.fail.source] if peak.fail.of_user else []
    return list(dict.fromkeys([peak.source, peak.warn.source, *of_user, *([usual.source] if usual else [])]))
