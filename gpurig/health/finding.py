"""What the health layers are given, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gpurig.verdict import Verdict

Platform = Literal["native", "container", "wsl2"]
"""A machine of its own (or a VM with the GPU passed through), a container on another's, or Linux inside Windows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One verdict about a GPU or its machine.

    name: stable from run to run and unique within a recording; history compares by it.
    value: what was found, with its unit. expected: the threshold. source: where that threshold comes from.
    reason: what it means; for SKIP, why nothing can be said. advice: what to do. Both empty for PASS, advice for SKIP too.
    figure, unit: the value as a number that history keeps, where it is one.
    """

    name: str
    verdict: Verdict
    value: str = ""
    expected: str = ""
    source: str = ""
    reason: str = ""
    advice: str = ""
    figure: float | None = None
    unit: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What the machine is measured by.

    gpu: canonical name of the model (gpurig/gpus.toml), None where nobody said. count: of GPUs, None where nobody said.
    memory: GB (10^9 bytes) of one device, None where nobody said.
    baseline: figure's name → the host's own usual value, from earlier runs.
    policy: thresholds that the user set for this host, by their names in thresholds.toml.
    services: those of the host's that may keep the GPU's memory while they run.
    """

    platform: Platform
    gpu: str | None = None
    count: int | None = None
    memory: float | None = None
    baseline: Mapping[str, float] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[str, ...] = ()


Layer = Callable[[Mapping[str, Any], Wanted], Iterator[Finding]]
"""Judges one part of a recording; see docs/add-a-gpu-check.md."""
