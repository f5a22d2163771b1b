"""What a verification found, as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence

from gpurig import history_plot, page
from gpurig.history import Run
from gpurig.report import Report
from gpurig.verdict import GRAVITY, gravest_first, overall

ROWS = 600
"""Rows of a page; above it, what passed is counted only, so that a page stays below 300 kB."""


def html(reports: Sequence[Report], *, title: str, links: bool = False, runs: Sequence[Run] = ()) -> str:
    """The page: filters by host and verdict, light and dark, printable.

    links: lead to each host's own page, at <host>/latest.html. runs: earlier ones of the only host, whose figures are plotted.
    """
    brief = sum(len(report.results) for report in reports) > ROWS
    shown = [
        (report, [result for result in gravest_first(report.results) if not brief or result.verdict != "PASS"])
        for report in reports
    ]
    return page.render(
        "report.html.j2",
        title=title,
        reports=shown,
        totals={verdict: sum(report.counts()[verdict] for report in reports) for verdict in GRAVITY},
        verdict=overall(report.verdict for report in reports),
        brief=brief,
        links=links,
        history=history_plot.charts(runs),
    )
