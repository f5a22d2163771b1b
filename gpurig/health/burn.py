"""Full load that was asked for: whether it came about, and why not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gpurig.health import layers, recording
from gpurig.health.figures import parts
from gpurig.health.finding import Finding
from gpurig.health.numbers import label
from gpurig.verdict import Result

NAME = "burn"
OF_GPU = f": {NAME}"
"""How the name of a GPU's own finding ends, see speed.py."""


def missing(
    found: Mapping[str, Any], judged: Mapping[str, list[Finding]], minutes: float, *, gpu: bool
) -> Iterator[Finding]:
    """A finding for each burn that was asked for and cannot be told of: SKIP without a GPU, else a warning.

    judged: each layer's findings about the recording. minutes: that were asked for, 0 for none. gpu: whether there should be one.
    """
    speed = recording.section(found, "speed")
    value = "not judged" if speed.get("burn") else "not run"
    told = {finding.name for findings in judged.values() for finding in findings if finding.name.endswith(OF_GPU)}
    if not minutes:
        return
    if not gpu:
        yield Finding(
            name=NAME, verdict="SKIP", value="not run", reason=f"nothing was kept under load: {layers.NO_GPU}"
        )
    elif not told:
        failed = layers.failed(judged)
        why = f"{failed} failed; put that right first" if failed else recording.skipped(found, "speed")
        yield _not_told(NAME, value, minutes, why or "no GPU was measured")
    else:
        for device in parts(speed.get("devices")):
            if (name := f"{label(speed, device)}{OF_GPU}") not in told:
                why = device.get("skipped") or device.get("problem") or "it was left out"
                yield _not_told(name, "not run", minutes, str(why))


def lasted(results: Iterable[Result], minutes: float) -> float:
    """Minutes under full load that these results tell of, where so many were asked for: all or none."""
    ran = any(one.topic == "gpu" and one.name.endswith(OF_GPU) and one.figure is not None for one in results)
    return minutes if ran else 0.0


def _not_told(name: str, value: str, minutes: float, why: str) -> Finding:
    return Finding(
        name=name,
        verdict="WARN",
        value=value,
        expected=f"{minutes:g} min under full load, as asked for",
        source="--burn",
        reason=f"Nothing is known of it under lasting load: {why}.",
        advice="Put right what the reason names, then verify again with --burn.",
    )
