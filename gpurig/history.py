"""What earlier verifications of a host found: one line of JSON each, in its reports folder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from gpurig.report import Report, folder_of
from gpurig.stack import Stack, locked, private_dir, write_private
from gpurig.verdict import GRAVITY, VERDICTS, Result, Verdict

SCHEMA = 1
"""Version of a line."""

KEEP, SLACK = 500, 50
"""Runs that are kept, and how many more may gather until the file is written anew."""


class Figure(NamedTuple):
    """What was measured, in this unit."""

    value: float
    unit: str

    def __str__(self) -> str:
        return f"{number(self.value)} {self.unit}".rstrip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One verification of one host, in brief.

    label: of the very machine; a rebuilt host has another one. started: ISO 8601, in UTC.
    checks, figures: by `topic: name`.
    """

    label: str
    started: str
    quick: bool
    counts: Mapping[Verdict, int] = field(default_factory=dict)
    checks: Mapping[str, Verdict] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Run:
        """Read a line's JSON. Raises ValueError, KeyError or TypeError where it is damaged or of another version."""
        if data["schema"] != SCHEMA or not set(data["checks"].values()) <= set(VERDICTS):
            raise ValueError("another version")
        datetime.fromisoformat(data["started"])
        figures = {name: Figure(float(value), str(unit)) for name, (value, unit) in data["figures"].items()}
        own = {key: data[key] for key in ("label", "started", "quick")}
        return cls(**own, counts=dict(data["counts"]), checks=dict(data["checks"]), figures=figures)

    def to_dict(self) -> dict[str, Any]:
        """The line's JSON."""
        own = {key: getattr(self, key) for key in ("label", "started", "quick", "counts", "checks", "figures")}
        return {"schema": SCHEMA, **own}


def of(report: Report) -> Run:
    """A report in brief. Where two of its results have one name, the graver counts."""
    checks: dict[str, Verdict] = {}
    figures: dict[str, Figure] = {}
    for result in sorted(report.results, key=lambda result: GRAVITY.index(result.verdict), reverse=True):
        name = name_of(result)
        checks[name] = result.verdict
        if result.figure is not None:
            figures[name] = Figure(result.figure, result.unit)
    return Run(
        label=report.label,
        started=report.started,
        quick=report.quick,
        counts=report.counts(),
        checks={name: checks[name] for name in map(name_of, report.results)},
        figures={name: figures[name] for name in map(name_of, report.results) if name in figures},
    )


def number(value: float) -> str:
    """A figure's value for people: what is large without decimals, all else with four digits."""
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.4g}"  # noqa: PLR2004 (digits that .4g shows)


def name_of(result: Result) -> str:
    """What a check is called among all of a host."""
    return f"{result.topic}: {result.name}"


def file_of(stack: Stack, host: str) -> Path:
    """Where a host's history is."""
    return folder_of(stack, host) / "history.jsonl"


def runs(stack: Stack, host: str) -> list[Run]:
    """The runs of a host, the oldest first. A line that cannot be read, such as one that was cut off, is left out."""
    try:
        text = file_of(stack, host).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [run for line in text.splitlines() if (run := _read(line))]


def add(stack: Stack, report: Report) -> None:
    """Append a run. Above what is kept, the oldest go: of quick or full runs, whichever there are more.

    So checks every five minutes with --quick do not push out the full runs, on which baselines rest.
    """
    file = file_of(stack, report.host)
    line = json.dumps(of(report).to_dict(), separators=(",", ":")) + "\n"
    with locked(stack.dir / "locks" / f"history-{report.host}", wait=True, busy=""):
        try:
            there = file.read_bytes()
        except FileNotFoundError:
            there = b""
        if there.count(b"\n") >= KEEP + SLACK:
            kept = _newest([*runs(stack, report.host), of(report)])
            lines = (json.dumps(run.to_dict(), separators=(",", ":")) for run in kept)
            write_private(file, "".join(f"{line}\n" for line in lines))
            return
        private_dir(file.parent)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(line if there.endswith(b"\n") or not there else f"\n{line}")
            out.flush()
            os.fsync(out.fileno())


def before(earlier: Sequence[Run], run: Run) -> Run | None:
    """The last of the earlier runs that a run can be compared with: quick as it is quick, full as it is full."""
    return next((other for other in reversed(earlier) if other.quick == run.quick), None)


def baseline(stack: Stack, host: str, label: str) -> dict[str, float]:
    """What is usual on this very machine: name of a GPU's figure, such as `GPU 0: bf16 matmul` → median of its full runs.

    A figure whose check FAILed is not usual and so does not count. Nor does one that was a WARN, lest what lasts becomes usual;
    but of figures that never were anything else, such as those of a capped GPU. Runs before `forget_usual` do not count.
    Empty where there was no full run yet.
    """
    topic, since = "gpu: ", _usual_since(stack, host)
    found: dict[Verdict, dict[str, list[float]]] = {"WARN": {}, "PASS": {}}
    for run in runs(stack, host):
        if run.label == label and not run.quick and _time(run.started) >= since:
            for name, figure in run.figures.items():
                if name.startswith(topic) and (verdict := run.checks.get(name, "PASS")) != "FAIL":
                    of_verdict = found["WARN" if verdict == "WARN" else "PASS"]
                    of_verdict.setdefault(name.removeprefix(topic), []).append(figure.value)
    return {name: median(values) for name, values in {**found["WARN"], **found["PASS"]}.items()}


def forget_usual(stack: Stack, host: str) -> None:
    """Let nothing before now count for a host's baseline: what its next full run measures is the new usual."""
    write_private(_mark(stack, host), datetime.now(UTC).isoformat(timespec="seconds") + "\n")


def _mark(stack: Stack, host: str) -> Path:
    return folder_of(stack, host) / "usual_since"


def _usual_since(stack: Stack, host: str) -> datetime:
    """From when on runs count for the baseline; all do where nobody said otherwise, or it cannot be read."""
    try:
        return _time(_mark(stack, host).read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return datetime.min.replace(tzinfo=UTC)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _newest(found: Iterable[Run]) -> list[Run]:
    """As many as are kept, in their order."""
    kept = list(found)
    while len(kept) > KEEP:
        quick = sum(run.quick for run in kept)
        oldest = next(index for index, run in enumerate(kept) if run.quick == (2 * quick > len(kept)))
        del kept[oldest]
    return kept


def _read(line: str) -> Run | None:
    try:
        return Run.from_dict(json.loads(line))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
