"""A recording read: sections, outputs of programs, and nvidia-smi's tables with all that may stand in a cell.

Nothing here raises for what a damaged recording holds: what cannot be read counts as not there.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from gpurig.health.anonymous import anonymous as anonymous  # noqa: PLC0414 (offered from here)
from gpurig.health.finding import Platform

SCHEMA = 1

NEW_NAMES = {
    "clocks_throttle_reasons.active": "clocks_event_reasons.active",
    "clocks.current.sm": "clocks.sm",
}
"""nvidia-smi's other names of a field → the one used here."""

SILENT = re.compile(
    r"\[?(N/A|Not Supported|Not Found|Insufficient Permissions|Requested functionality has been deprecated)\]?",
    re.IGNORECASE,
)
"""What stands in a cell whose value this GPU or this driver does not tell."""

BROKEN = re.compile(r"\[?(Unknown Error|GPU requires reset|GPU is lost|GPU Lost|ERR!?)\]?", re.IGNORECASE)
"""What stands in a cell that a broken GPU did not fill."""

NUMBER = re.compile(r"(-?\d+(?:\.\d+)?)(?: (?:MiB|W|MHz|%|C))?")


@dataclass(frozen=True, slots=True)
class Run:
    """What a program said. code: of its exit; None where it could not be run or gave no answer in time, as `err` says."""

    code: int | None = None
    out: str = ""
    err: str = ""
    seconds: float = 0.0

    @property
    def words(self) -> str:
        """What it said, on one line: errors before output."""
        return " ".join((self.err.strip() or self.out.strip() or "no words").split())[:300]


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of nvidia-smi's table. state: `silent` where this GPU does not tell it, `broken` where it cannot."""

    text: str = ""
    state: Literal["known", "silent", "broken"] = "silent"

    @property
    def number(self) -> float | None:
        """The value without its unit; None where there is none."""
        match = NUMBER.fullmatch(self.text) if self.state == "known" else None
        return float(match[1]) if match else None

    @property
    def bits(self) -> int | None:
        """The value of a bit mask such as 0x0000000000000004; None where there is none."""
        match = re.fullmatch(r"0x[0-9a-fA-F]{1,16}", self.text)
        return int(match[0], 16) if match else None

    @property
    def yes(self) -> bool | None:
        """Whether it says yes; None where it says neither yes nor no."""
        return {"yes": True, "1": True, "enabled": True, "no": False, "0": False, "disabled": False}.get(
            self.text.lower()
        )


Row = Mapping[str, Cell]
"""What nvidia-smi says of one GPU: field → value. Fields that its driver does not know are missing."""


def skipped(recording: Mapping[str, Any], name: str) -> str:
    """Why this section was not taken; empty where it was."""
    part = recording.get(name)
    if not isinstance(part, Mapping) or not part:
        return "it is not in the recording"
    return str(part.get("skipped") or "")


def section(recording: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section that was taken; empty where it was not."""
    return {} if skipped(recording, name) else cast("Mapping[str, Any]", recording[name])


def platform(recording: Mapping[str, Any]) -> Platform:
    """Where it was recorded; `native` where it does not say."""
    found = section(recording, "machine").get("platform")
    return cast("Platform", found) if found in get_args(Platform) else "native"


def run_of(value: Any) -> Run:
    """A program's outcome as it is recorded."""
    if not isinstance(value, Mapping):
        return Run(err="it is not in the recording")
    if value.get("skipped"):
        return Run(err=str(value["skipped"]))
    code, seconds = value.get("code"), value.get("seconds")
    return Run(
        code=code if isinstance(code, int) and not isinstance(code, bool) else None,
        out=_text(value.get("out")),
        err=_text(value.get("err")),
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
    )


def cell(text: str) -> Cell:
    """One value as nvidia-smi writes it."""
    text = text.strip()
    if not text or SILENT.fullmatch(text):
        return Cell(text)
    return Cell(text, "broken" if BROKEN.fullmatch(text) else "known")


def rows(run: Run, fields: Sequence[Any]) -> list[Row]:
    """The GPUs that a query of these fields lists, in nvidia-smi's order. Lines that are no such rows are left out."""
    names = [NEW_NAMES.get(str(name), str(name)) for name in fields]
    lines = csv.reader([line for line in run.out.splitlines() if line.strip()], skipinitialspace=True)
    try:
        cells = [line for line in lines if len(line) == len(names)]
    except csv.Error:
        return []
    found = [{name: cell(text) for name, text in zip(names, line, strict=True)} for line in cells]
    return [row for row in found if _is_gpu(row)]


def gpus(recording: Mapping[str, Any]) -> list[Row]:
    """What nvidia-smi says of each GPU at rest."""
    smi = section(recording, "smi")
    return rows(run_of(smi.get("query")), strings(smi.get("fields")))


def strings(value: Any) -> list[str]:
    """The strings of a list; none where it is no list."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []


def _is_gpu(row: Row) -> bool:
    """Whether it is a row and not a warning that has as many commas."""
    index = row.get("index")
    return index is None or index.text.isdigit() or index.state == "broken"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
