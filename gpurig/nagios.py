"""What a verification found, as one line and an exit code for Nagios and what understands its plugins.

Format and codes: Monitoring Plugins Development Guidelines, "Plugin Output for Nagios" and "Plugin Return Codes".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gpurig.report import Report
from gpurig.verdict import Result, gravest_first

OK, WARNING, CRITICAL, UNKNOWN = 0, 1, 2, 3

NAMES = {OK: "OK", WARNING: "WARNING", CRITICAL: "CRITICAL", UNKNOWN: "UNKNOWN"}

WORST = (CRITICAL, WARNING, UNKNOWN, OK)
"""Of several hosts the first that one of them has."""

UNITS = {
    "s": "s",
    "ms": "ms",
    "us": "us",
    "µs": "us",
    "%": "%",
    "B": "B",
    "kB": "KB",
    "MB": "MB",
    "GB": "GB",
    "TB": "TB",
}
"""Our unit → that of performance data; others are left out there."""

TOLD = 3
"""Checks that the line names."""


class Said(NamedTuple):
    """The line for stdout and the exit code."""

    line: str
    code: int


def say(reports: Sequence[Report]) -> Said:
    """All hosts in one line, of which the worst gives the code. A FAIL, such as an unreachable host, is CRITICAL."""
    codes = [_code(report) for report in reports]
    code = next((code for code in WORST if code in codes), UNKNOWN)
    text = "; ".join(_text(report, code) for report, code in zip(reports, codes, strict=True))
    data = " ".join(part for report in reports for part in _data(report, several=len(reports) > 1))
    return Said(f"{NAMES[code]} - {_line(text or 'nothing was checked')} | {data}".rstrip(" |"), code)


def unknown(message: str) -> Said:
    """Where nothing could be verified."""
    return Said(f"UNKNOWN - {_line(message)}", UNKNOWN)


def _code(report: Report) -> int:
    """UNKNOWN where no check said anything: all were skipped, or did not come to run."""
    verdicts = {result.verdict for result in report.results if not _did_not_run(result)}
    if not verdicts - {"SKIP"}:
        return UNKNOWN
    return CRITICAL if report.verdict == "FAIL" else WARNING if report.verdict == "WARN" else OK


def _did_not_run(result: Result) -> bool:
    return result.topic == "verification" and result.name == "finished"


def _text(report: Report, code: int) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts().items() if count) or "nothing checked"
    bad = [result for result in gravest_first(report.results) if result.verdict in ("FAIL", "WARN")]
    named = [f"{result.topic}: {result.name}" + (f" ({result.value})" if result.value else "") for result in bad]
    more = f" and {len(named) - TOLD} more" if len(named) > TOLD else ""
    words = f"{report.host}: {counts}"
    return words if code == OK or not named else f"{words}: {', '.join(named[:TOLD])}{more}"


def _data(report: Report, *, several: bool) -> Iterator[str]:
    front = f"{report.host} " if several else ""
    for verdict, count in report.counts().items():
        yield _datum(f"{front}{verdict}", f"{count};;;0")
    yield _datum(f"{front}time", f"{report.seconds:g}s;;;0")
    named: dict[str, str] = {}
    for result in gravest_first(report.results):
        if result.figure is not None:
            named.setdefault(result.name, f"{result.figure:.12g}{UNITS.get(result.unit, '')}")
    yield from (_datum(f"{front}{name}", value) for name, value in named.items())


def _datum(label: str, value: str) -> str:
    """A label may hold neither = nor |, and a quote is doubled."""
    return f"'{_line(label.replace('=', ' ')).replace(chr(39), chr(39) * 2)}'={value}"


def _line(text: str) -> str:
    """On one line, without the sign that begins performance data."""
    return " ".join(text.replace("|", "/").split())
