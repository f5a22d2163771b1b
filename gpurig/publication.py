"""Writes what verifications found, in every form."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gpurig import history, junit, prometheus, report_page
from gpurig.report import Report, folder_of, page_of
from gpurig.stack import Stack, write_private
from gpurig.verdict import Result


def publish(stack: Stack, report: Report) -> None:
    """Write a report as latest.json, .xml, .html and .prom, and into its host's history."""
    folder = folder_of(stack, report.host)
    history.add(stack, report)
    write_private(folder / "latest.json", json.dumps(report.to_dict(), indent=2) + "\n")
    write_private(folder / "latest.xml", junit.xml([report]))
    write_private(folder / "latest.prom", prometheus.text(stack, [report]))
    page = report_page.html([report], title=report.host, runs=history.runs(stack, report.host))
    write_private(folder / "latest.html", page)


def publish_page(stack: Stack, machines: Mapping[str, str]) -> None:
    """Write a page of the whole stack, from the last report of each machine (name → label)."""
    title = f"{stack.project}, stack {stack.name}"
    write_private(page_of(stack), report_page.html(latest(stack, machines), title=title, links=True))


def latest(stack: Stack, machines: Mapping[str, str]) -> list[Report]:
    """The last report of each machine (name → label); where there is none, one whose only FAIL says why."""
    return [_latest(stack, name, label) for name, label in sorted(machines.items())]


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
