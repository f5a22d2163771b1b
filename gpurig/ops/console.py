"""What commands say: results on stdout, as text or JSON; progress, messages and questions on stderr."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from gpurig.errors import ConfigError

if TYPE_CHECKING:
    from invoke.context import Context


warned: set[str] = set()
"""Warnings that this command has given: each is given once, however many steps meet its cause."""


def say(line: str) -> None:
    """A message for people, on stderr."""
    if _told(line):
        return
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def show(c: Context, data: Any, text: str) -> None:
    """The result, on stdout: `data` as JSON where --json was given, else `text`."""
    out = json.dumps(data, indent=2) if c.config.gpurig.json else text
    if out:
        sys.stdout.write(f"{out}\n")
        sys.stdout.flush()


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows, the first of them the headings, as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def fits(text: str) -> bool:
    """Whether stdout has room for every line of a text; a file or a pipe always has."""
    return not sys.stdout.isatty() or max(map(len, text.splitlines())) <= shutil.get_terminal_size().columns


def on_terminal() -> bool:
    """Whether somebody can be asked: both stdin and stderr are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Return if the user agrees or said --yes. Raises ConfigError where they do not, or cannot be asked."""
    if yes:
        return
    if not on_terminal():
        raise ConfigError(f"{question} Nobody can be asked here: say --yes.")
    if not agrees(question):
        raise ConfigError("Nothing was changed.")


def agrees(question: str) -> bool:
    """Ask a question on the terminal."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Progress of a long step: yields a function that takes one line. A spinner turns where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield say
        return
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    with console.status(what):

        def report(line: str) -> None:
            if not _told(line):
                console.print(line, markup=False)

        yield report


@contextmanager
def transfer(what: str) -> Iterator[Callable[[float, str], None] | None]:
    """Progress of a transfer: yields a function that takes the part done, 0 to 1, and the speed. None without a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = [TextColumn(what), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[speed]}")]
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(what, total=1.0, speed="")
        yield lambda part, speed: bars.update(bar, completed=part, speed=speed)


def _told(line: str) -> bool:
    """Whether this warning was given already; notes it."""
    if not line.startswith("Warning: "):
        return False
    before = line in warned
    warned.add(line)
    return before


def moment(at: datetime) -> str:
    """A moment, in UTC: the time alone where it is today's."""
    from gpurig import clock

    at = at.astimezone(UTC)
    return f"{at:%H:%M} UTC" if at.date() == clock.now().date() else f"{at:%Y-%m-%d %H:%M} UTC"


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":  # noqa: PLR2004 (SI prefixes)
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    raise AssertionError
