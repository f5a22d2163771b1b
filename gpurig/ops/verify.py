"""`rig verify`: prove that hosts are what they should be."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpurig.errors import VerificationError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.report import Report
    from gpurig.stack import Stack
    from gpurig.verdict import Result
    from gpurig.verification import Tell

WIDTH = 120
"""Columns of the table where stdout is no terminal."""


@command(rest="host", help={"host": "Only these.", "quick": "Leave out what takes long."})
def verify(c: Context, host: str = "", quick: bool = False) -> None:
    """Check hosts: SSH, open ports, services, environments, GPU. Exit code 3 when something FAILs."""
    from gpurig import verification

    stack = stack_of(c)
    names = shlex.split(host)
    with _progress([target.name for target in verification.targets(stack, names)]) as tell:
        reports = verification.verify(stack, names, quick=quick, tell=tell)
    if c.config.gpurig.json:
        console.show(c, [report.to_dict() for report in reports], "")
    else:
        _print(stack, reports)
    if failed := [report.host for report in reports if report.verdict == "FAIL"]:
        raise VerificationError(f"Verification failed: {', '.join(failed)}.")


def _print(stack: Stack, reports: Sequence[Report]) -> None:
    from gpurig.report import folder_of, page_of
    from gpurig.report_table import table, text

    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(table(reports))
    else:
        _write(text(reports, width=WIDTH))
    for report in reports:
        _write(f"{folder_of(stack, report.host)}/latest.html, .json, .xml")
    _write(str(page_of(stack)))


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def _progress(names: Sequence[str]) -> Iterator[Tell]:
    """On a terminal one line that shows how far each host is; else nothing until the end."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    done = dict.fromkeys(names, 0)
    found: Counter[str] = Counter()
    with Console(stderr=True).status(f"Verifying {', '.join(names)}") as status:

        def tell(result: Result) -> None:
            done[result.host] += 1
            found[result.verdict] += 1
            counted = ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.items()))
            status.update(f"Verifying {', '.join(names)}: {counted}; last {result.host}, {result.topic}: {result.name}")

        yield tell
