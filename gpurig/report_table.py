"""What a verification found, as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gpurig.report import Report
from gpurig.verdict import Result, Verdict, gravest_first

if TYPE_CHECKING:
    from rich.console import Group

COLOURS: dict[Verdict, str] = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red", "SKIP": "dim"}


def table(reports: Sequence[Report]) -> Group:
    """What rich prints: one table per host, then what to do. Of several hosts, what passed is counted only."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = []
    for report in reports:
        grid = Table(
            box=box.SIMPLE_HEAD, title=_headline(report), title_justify="left", title_style="bold", pad_edge=False
        )
        for heading, share in (("", None), ("Check", 3), ("Found", 4), ("Expected", 3)):
            grid.add_column(heading, ratio=share, overflow="fold")
        for result in gravest_first(report.results):
            if result.verdict != "PASS" or len(reports) == 1:
                verdict = Text(result.verdict, style=COLOURS[result.verdict])
                found = result.reason if result.verdict == "SKIP" else result.value
                grid.add_row(verdict, f"{result.topic}: {result.name}", Text(found), Text(result.expected))
        parts.append(grid if grid.row_count else Text(_headline(report), style="bold"))
        parts += _problems(gravest_first(report.results))
    return Group(*parts)


def text(reports: Sequence[Report], *, width: int) -> str:
    """The table as plain text of so many columns."""
    from io import StringIO

    from rich.console import Console

    console = Console(file=StringIO(), width=width, color_system=None, highlight=False)
    with console.capture() as printed:
        console.print(table(reports))
    return "\n".join(line.rstrip() for line in printed.get().strip().splitlines())


def _headline(report: Report) -> str:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts().items() if count) or "nothing checked"
    return f"{report.host}: {report.verdict} ({counts}) in {report.seconds:.0f} s{', quick' if report.quick else ''}"


def _problems(results: Iterable[Result]) -> list[Any]:
    """What is wrong and what to do; what the same thing helps against is listed together."""
    from rich.padding import Padding
    from rich.text import Text

    remedies: dict[str, list[Result]] = {}
    for result in results:
        if result.verdict in ("FAIL", "WARN"):
            remedies.setdefault(result.advice, []).append(result)
    parts: list[Any] = []
    for advice, helped in remedies.items():
        for result in helped:
            head = (f"{result.verdict} {result.topic}: {result.name}. ", COLOURS[result.verdict])
            parts.append(Text.assemble(head, result.reason))
        parts.append(Padding(Text(f"→ {advice}" if advice else ""), (0, 0, 1, 2)))
    return parts
