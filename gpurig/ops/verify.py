"""`rig verify`: prove that hosts are what they should be."""

from __future__ import annotations

import math
import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpurig.errors import ConfigError, RigError, VerificationError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from pathlib import Path

    from invoke.context import Context

    from gpurig.comparison import Comparison
    from gpurig.report import Report
    from gpurig.stack import Stack
    from gpurig.verdict import Result
    from gpurig.verification import Target, Tell

WIDTH = 120
"""Columns of the table where stdout is no terminal."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a verification found, and how that compares with the one before, where that was asked for."""

    stack: Stack
    reports: list[Report]
    compared: list[Comparison]


@command(
    rest="host",
    optional=["capture"],
    help={
        "host": "Only these.",
        "quick": "Leave out what takes long.",
        "burn": "Also keep the GPUs under full load for so many minutes.",
        "compare": "Verify, then say what changed since the verification before of the same kind, quick or full.",
        "new_usual": "Forget what was usual for these hosts' figures: what is measured now is the new usual.",
        "nagios": "Print one line with performance data, and exit 0 OK, 1 WARNING, 2 CRITICAL or 3 UNKNOWN.",
        "textfile": "Also write the metrics of every host of the stack to this file (*.prom), for node_exporter.",
        "capture": "Do not verify: record what one host's GPU says, without names and addresses, in FILE.json or among its reports.",
    },
)
def verify(  # noqa: PLR0913, PLR0917 (options of a command)
    c: Context,
    host: str = "",
    quick: bool = False,
    burn: str = "",
    compare: bool = False,
    new_usual: bool = False,
    nagios: bool = False,
    textfile: str = "",
    capture: str | bool = "",
) -> None:
    """Check hosts: SSH, open ports, services, environments, GPU. Exit code 3 when something FAILs.

    Every verification is kept: the HTML report plots each host's figures, and --compare says what is different.
    """
    names = shlex.split(host)
    if nagios:
        others = bool(compare or capture or new_usual or c.config.gpurig.json)
        _nagios(c, names, quick=quick, burn=burn, textfile=textfile, others=others)
        return
    if new_usual and (quick or capture):
        wrong = "--capture" if capture else "--quick"
        raise ConfigError(f"--new-usual: only a full verification measures what is usual: leave out {wrong}.")
    if capture:
        if compare or textfile:
            raise ConfigError("--capture records and does not verify: leave out --compare and --textfile.")
        from gpurig.ops.capture import record

        record(c, names, "" if capture is True else str(capture), quick=quick, burn=_minutes(burn, quick=quick))
        return
    found = _verified(c, names, quick=quick, burn=burn, compare=compare, textfile=textfile, new_usual=new_usual)
    if c.config.gpurig.json:
        console.show(c, _data(found), "")
    else:
        _print(found)
    if failed := [report.host for report in found.reports if report.verdict == "FAIL"]:
        raise VerificationError(f"Verification failed: {', '.join(failed)}.")


def _verified(
    c: Context, names: list[str], *, quick: bool, burn: str, compare: bool, textfile: str, new_usual: bool = False
) -> Found:
    """Verify after all options were checked."""
    from gpurig import comparison, history, prometheus, verification

    minutes = _minutes(burn, quick=quick)
    file = prometheus.checked(textfile) if textfile else None
    stack = stack_of(c)
    chosen = verification.targets(stack, names)
    earlier = {target.name: history.runs(stack, target.name) for target in chosen} if compare else {}
    for target in chosen if new_usual else ():
        history.forget_usual(stack, target.name)
    with _progress(chosen, minutes) as tell:
        reports = verification.verify(stack, names, quick=quick, burn=minutes, tell=tell)
    if file:
        _write_metrics(stack, file)
    now = {report.host: history.of(report) for report in reports if compare}
    compared = [comparison.compare(name, history.before(earlier[name], run), run) for name, run in now.items()]
    return Found(stack, reports, compared)


def _nagios(c: Context, names: list[str], *, quick: bool, burn: str, textfile: str, others: bool) -> None:
    """Verify and answer as a Nagios plugin does: also what hinders the verification is told on stdout."""
    from invoke.exceptions import Exit

    from gpurig import nagios

    try:
        if others:
            raise ConfigError("--nagios prints one line only: leave out --json, --compare, --new-usual and --capture.")
        found = _verified(c, names, quick=quick, burn=burn, compare=False, textfile=textfile)
    except RigError as error:
        said = nagios.unknown(str(error))
    else:
        said = nagios.say(found.reports)
    _write(said.line)
    if said.code:
        raise Exit(code=said.code)


def _minutes(burn: str, *, quick: bool) -> float:
    """The value of --burn; 0 where it was not given. Raises ConfigError for what is no time."""
    from gpurig.verification import check_options

    if not burn:
        return 0.0
    try:
        minutes = float(burn) or math.nan
    except ValueError:
        minutes = math.nan
    if math.isnan(minutes):
        raise ConfigError(f"--burn {burn}: write a number of minutes above 0, such as --burn 10.")
    check_options(quick=quick, burn=minutes)
    return minutes


def _write_metrics(stack: Stack, file: Path) -> None:
    from gpurig import prometheus, publication, verification

    try:
        prometheus.write(file, prometheus.text(stack, publication.latest(stack, verification.machines(stack))))
    except OSError as error:
        raise RigError(f"--textfile {file}: cannot be written: {error}.") from error


def _data(found: Found) -> list[dict[str, Any]]:
    """JSON: each report, with `compared` where that was asked for."""
    changes = {compared.host: compared.to_dict() for compared in found.compared}
    more = {name: {"compared": change} for name, change in changes.items()}
    return [{**report.to_dict(), **more.get(report.host, {})} for report in found.reports]


def _print(found: Found) -> None:
    from gpurig.report import folder_of, page_of
    from gpurig.report_table import table, text

    if sys.stdout.isatty():
        from rich.console import Console

        Console(highlight=False).print(table(found.reports))
    else:
        _write(text(found.reports, width=WIDTH))
    for compared in found.compared:
        _write(f"{compared}\n")
    for report in found.reports:
        _write(f"{folder_of(found.stack, report.host)}/latest.html, .json, .xml, .prom")
    _write(str(page_of(found.stack)))


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def _progress(targets: Sequence[Target], minutes: float) -> Iterator[Tell]:
    """On a terminal one line that shows how far each host is; else nothing until the end, but how long full load takes."""
    names = [target.name for target in targets]
    burning = f"; {minutes:g} min of it under full load" if minutes else ""
    if not sys.stderr.isatty():
        if burning:
            console.say(f"Verifying {', '.join(names)}{burning}.")
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    found: Counter[str] = Counter()
    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        line = progress.add_task(f"Verifying {', '.join(names)}{burning}", total=None)

        def tell(result: Result) -> None:
            found[result.verdict] += 1
            counted = ", ".join(f"{count} {verdict}" for verdict, count in sorted(found.items()))
            last = f"last {result.host}, {result.topic}: {result.name}"
            progress.update(line, description=f"Verifying {', '.join(names)}{burning}: {counted}; {last}")

        yield tell
