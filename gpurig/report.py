"""What a verification found, as a table for people, JSON and JUnit for programs, and one self-contained HTML page."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from gpurig.catalogue import ROOT
from gpurig.stack import Stack, write_private
from gpurig.verdict import GRAVITY, VERDICTS, Result, Verdict, overall

if TYPE_CHECKING:
    from rich.console import Group

SCHEMA = 1
"""Version of the JSON form."""

TEMPLATES = ROOT / "templates"

ROWS = 600
"""Rows of an HTML page; above it, what passed is counted only, so that a page stays below 300 kB."""

COLOURS: dict[Verdict, str] = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red", "SKIP": "dim"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """One verification of one host.

    label: of the very machine that was verified; a rebuilt host has another one.
    started: ISO 8601, in UTC. seconds: how long it took. quick: long checks were left out.
    """

    host: str
    label: str
    started: str
    seconds: float
    quick: bool
    results: tuple[Result, ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """Read the JSON form. Raises ValueError, KeyError or TypeError where it is damaged or of another version."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"schema {data.get('schema')!r} is not {SCHEMA}")
        own = {name: data[name] for name in ("host", "label", "started", "seconds", "quick")}
        return cls(**own, results=tuple(Result.from_dict(result) for result in data["results"]))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "schema": SCHEMA,
            "host": self.host,
            "label": self.label,
            "verdict": self.verdict,
            "started": self.started,
            "seconds": self.seconds,
            "quick": self.quick,
            "counts": self.counts(),
            "results": [result.to_dict() for result in self.results],
        }

    @property
    def verdict(self) -> Verdict:
        """The gravest verdict of its results; FAIL where nothing was checked."""
        return overall(result.verdict for result in self.results)

    def counts(self) -> dict[Verdict, int]:
        """How many results there are of each verdict."""
        counted = Counter(result.verdict for result in self.results)
        return {verdict: counted[verdict] for verdict in VERDICTS}


def publish(stack: Stack, reports: Iterable[Report], machines: Mapping[str, str]) -> None:
    """Write each report as latest.json, .xml and .html, and a page of the whole stack from everyone's latest.

    machines: name → label of every machine that there is; one that has no report of its own is a FAIL on that page.
    """
    for report in reports:
        folder = folder_of(stack, report.host)
        write_private(folder / "latest.json", json.dumps(report.to_dict(), indent=2) + "\n")
        write_private(folder / "latest.xml", junit([report]))
        write_private(folder / "latest.html", html([report], title=report.host))
    latest = [_latest(stack, name, label) for name, label in sorted(machines.items())]
    write_private(page_of(stack), html(latest, title=f"{stack.project}, stack {stack.name}", links=True))


def folder_of(stack: Stack, host: str) -> Path:
    """Where a host's reports are: latest.json, latest.xml, latest.html."""
    return stack.dir / "reports" / host


def page_of(stack: Stack) -> Path:
    """The HTML page about every host of a stack."""
    return stack.dir / "reports" / "latest.html"


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
        for result in _sorted(report.results):
            if result.verdict != "PASS" or len(reports) == 1:
                verdict = Text(result.verdict, style=COLOURS[result.verdict])
                found = result.reason if result.verdict == "SKIP" else result.value
                grid.add_row(verdict, f"{result.topic}: {result.name}", Text(found), Text(result.expected))
        parts.append(grid if grid.row_count else Text(_headline(report), style="bold"))
        parts += _problems(_sorted(report.results))
    return Group(*parts)


def text(reports: Sequence[Report], *, width: int) -> str:
    """The table as plain text of so many columns."""
    from io import StringIO

    from rich.console import Console

    console = Console(file=StringIO(), width=width, color_system=None, highlight=False)
    with console.capture() as printed:
        console.print(table(reports))
    return "\n".join(line.rstrip() for line in printed.get().strip().splitlines())


def junit(reports: Sequence[Report]) -> str:
    """JUnit's XML: one suite per host. A WARN passes there, with its words as output, since JUnit knows no such thing."""
    root = ET.Element("testsuites", name="gpurig verify")
    for report in reports:
        counts = report.counts()
        suite = ET.SubElement(root, "testsuite", name=report.host, timestamp=report.started, time=f"{report.seconds}")
        suite.attrib |= {"tests": f"{len(report.results)}", "failures": f"{counts['FAIL']}"}
        suite.attrib |= {"errors": "0", "skipped": f"{counts['SKIP']}"}
        for result in report.results:
            case = ET.SubElement(suite, "testcase", classname=f"{report.host}.{result.topic}", name=_clean(result.name))
            case.set("time", f"{result.seconds}")
            if result.verdict == "SKIP":
                ET.SubElement(case, "skipped", message=_clean(result.reason))
            elif result.verdict == "FAIL":
                ET.SubElement(case, "failure", message=_clean(_sentence(result))).text = _clean(result.advice)
            elif result.verdict == "WARN":
                ET.SubElement(case, "system-out").text = _clean(f"WARN: {_sentence(result)} {result.advice}")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def html(reports: Sequence[Report], *, title: str, links: bool = False) -> str:
    """One page without any other file: filters by host and verdict, light and dark, printable.

    links: lead to each host's own page, at <host>/latest.html.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = lambda iso: datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M UTC")
    brief = sum(len(report.results) for report in reports) > ROWS
    shown = [
        (report, [result for result in _sorted(report.results) if not brief or result.verdict != "PASS"])
        for report in reports
    ]
    totals = {verdict: sum(report.counts()[verdict] for report in reports) for verdict in GRAVITY}
    verdict = overall(report.verdict for report in reports)
    return environment.get_template("report.html.j2").render(
        title=title, reports=shown, totals=totals, verdict=verdict, brief=brief, links=links
    )


def _latest(stack: Stack, host: str, label: str) -> Report:
    """The last report of a host, or one FAIL that says why there is none."""
    try:
        found = Report.from_dict(json.loads((folder_of(stack, host) / "latest.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        reason = "This host was never verified."
    else:
        if found.label == label:
            return found
        reason = f"Last verified at {found.started}, before it was made anew."
    missing = Result(
        host=host,
        topic="verification",
        name="up to date",
        verdict="FAIL",
        reason=reason,
        advice=f"Run `rig verify {host}`.",
    )
    return Report(host=host, label=label, started="", seconds=0, quick=False, results=(missing,))


def _sorted(results: Iterable[Result]) -> list[Result]:
    """The gravest first, else in the order in which they were checked."""
    return sorted(results, key=lambda result: GRAVITY.index(result.verdict))


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


def _sentence(result: Result) -> str:
    expected = f", expected: {result.expected}" if result.expected else ""
    return f"found: {result.value}{expected}. {result.reason}" if result.value else result.reason


def _clean(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
