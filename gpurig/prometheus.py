"""What verifications found, in Prometheus' text format, as node_exporter's textfile collector reads it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from gpurig.errors import ConfigError
from gpurig.report import Report
from gpurig.stack import Stack
from gpurig.verdict import Result, Verdict, gravest_first

CODES: dict[Verdict, int] = {"PASS": 0, "WARN": 1, "FAIL": 2, "SKIP": 3}
"""As in Nagios' convention: SKIP is unknown."""


class Sample(NamedTuple):
    """A value with its labels."""

    labels: Mapping[str, str]
    value: float


def text(stack: Stack, reports: Sequence[Report]) -> str:
    """The metrics of these reports; all are gauges. Where two results have one name, the graver counts."""
    whose = [({"stack": f"{stack.project}/{stack.name}", "host": report.host}, report) for report in reports]
    checks = [
        ({**own, "topic": result.topic, "check": result.name}, result) for own, r in whose for result in _unique(r)
    ]
    families = [
        (
            "gpurig_verification_verdicts",
            "Checks of the last verification by their verdict.",
            [Sample({**own, "verdict": verdict}, n) for own, report in whose for verdict, n in report.counts().items()],
        ),
        (
            "gpurig_check",
            "Verdict of a check: 0 PASS, 1 WARN, 2 FAIL, 3 SKIP.",
            [Sample(labels, CODES[result.verdict]) for labels, result in checks],
        ),
        (
            "gpurig_figure",
            "What a check measured, in the unit of its label.",
            [
                Sample({**labels, "unit": result.unit}, result.figure)
                for labels, result in checks
                if result.figure is not None
            ],
        ),
        (
            "gpurig_verification_timestamp_seconds",
            "When the last verification began, in seconds since 1970.",
            [
                Sample(own, datetime.fromisoformat(report.started).timestamp())
                for own, report in whose
                if report.started
            ],
        ),
        (
            "gpurig_verification_duration_seconds",
            "How long the last verification took.",
            [Sample(own, report.seconds) for own, report in whose if report.started],
        ),
        (
            "gpurig_verification_quick",
            "Whether the last verification left out long checks.",
            [Sample(own, int(report.quick)) for own, report in whose if report.started],
        ),
    ]
    return "".join(line for name, help_, samples in families if samples for line in _family(name, help_, samples))


def checked(path: str) -> Path:
    """The file for node_exporter. Raises ConfigError where it would not be read, or cannot be written."""
    file = Path(path).expanduser().absolute()
    if file.suffix != ".prom":
        raise ConfigError(f"--textfile {path}: node_exporter reads only files that end in .prom; write such a name.")
    if not file.parent.is_dir():
        raise ConfigError(f"--textfile {path}: there is no folder {file.parent}.")
    if file.is_dir() or not os.access(file.parent, os.W_OK | os.X_OK):
        raise ConfigError(f"--textfile {path}: cannot be written; name a file in a folder that you may write to.")
    return file


def write(file: Path, metrics: str) -> None:
    """Write what node_exporter, another user, may read; whole or not at all. Raises OSError."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        draft.write_text(metrics, encoding="utf-8")
        draft.chmod(0o644)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _unique(report: Report) -> Iterable[Result]:
    found: dict[tuple[str, str], Result] = {}
    for result in gravest_first(report.results):
        found.setdefault((result.topic, result.name), result)
    return found.values()


def _family(name: str, help_: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {help_}\n# TYPE {name} gauge\n"
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{{{inside}}} {value:.12g}\n"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
