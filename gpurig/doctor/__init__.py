"""What `rig doctor` finds: on this machine, and on the way to a host."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["OK", "WARN", "FAIL"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was found, and what to do about it."""

    level: Level
    what: str
    found: str
    advice: str = ""


def worst(findings: Iterable[Finding]) -> Level:
    """The gravest level of these findings."""
    levels = {finding.level for finding in findings}
    return "FAIL" if "FAIL" in levels else "WARN" if "WARN" in levels else "OK"
