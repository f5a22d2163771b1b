"""Verifications of a host that never was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

from gpurig.history import Figure, Run
from gpurig.report import Report
from gpurig.verdict import Result, Verdict

OLD, NEW = "p.s.demo.1", "p.s.demo.2"
START = datetime(2026, 11, 1, 10, tzinfo=UTC)


def result(name: str, verdict: Verdict = "PASS", figure: float | None = None, **more: Any) -> Result:
    return Result(host="demo", topic="gpu", name=name, verdict=verdict, figure=figure, **more)


def report(*results: Result, label: str = NEW, quick: bool = False, hour: int = 0) -> Report:
    started = (START + timedelta(hours=hour)).isoformat()
    return Report(host="demo", label=label, started=started, seconds=1.0, quick=quick, results=results)


def run(
    hour: int,
    figures: Mapping[str, float] = MappingProxyType({}),
    *,
    label: str = NEW,
    quick: bool = False,
    verdict: Verdict = "PASS",
) -> Run:
    names = {name: Figure(value, "TFLOPS") for name, value in figures.items()}
    started = (START + timedelta(hours=hour)).isoformat()
    return Run(label=label, started=started, quick=quick, checks=dict.fromkeys(names, verdict), figures=names)
