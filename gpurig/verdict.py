"""What one check of a verification says: PASS, WARN, FAIL or SKIP, with what was found and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

Verdict = Literal["PASS", "WARN", "FAIL", "SKIP"]

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

GRAVITY: tuple[Verdict, ...] = ("FAIL", "WARN", "PASS", "SKIP")
"""From the gravest on. SKIP is last: it says that nothing is known, and so never stands for a PASS."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The verdict of one check on one host.

    topic: what it is about, such as `access`; the name of a file in tests/verify.
    name: what was checked, unique within its topic.
    value: what was found, with its unit.
    expected: what would be right, or the threshold.
    reason: what the verdict means; for SKIP, why nothing could be said. Empty for PASS.
    advice: what to do. Empty for PASS and SKIP.
    seconds: how long the check took.
    source: where the threshold comes from.
    figure, unit: the value as a number, where it is a finite one; a host's history keeps it under the check's name.
    """

    host: str
    topic: str
    name: str
    verdict: Verdict
    value: str = ""
    expected: str = ""
    reason: str = ""
    advice: str = ""
    seconds: float = 0.0
    source: str = ""
    figure: float | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        if self.figure is not None and not math.isfinite(self.figure):  # neither JSON nor a plot can hold it
            object.__setattr__(self, "figure", None)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Result:
        """Read the JSON form. Raises ValueError or TypeError for one that is damaged."""
        if data.get("verdict") not in VERDICTS:
            raise ValueError(f"verdict {data.get('verdict')!r} is not one of {', '.join(VERDICTS)}")
        return cls(**{f.name: data[f.name] for f in fields(cls) if f.name in data})

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """The gravest verdict. FAIL where nothing was checked at all: no check, or none that could say anything."""
    found = set(verdicts)
    return next((verdict for verdict in GRAVITY[:3] if verdict in found), "FAIL")


def gravest_first(results: Iterable[Result]) -> list[Result]:
    """Sorted by gravity, else in the order in which they were checked."""
    return sorted(results, key=lambda result: GRAVITY.index(result.verdict))


def at_least(value: float, *, warn: float, fail: float) -> Verdict:
    """Grade a value of which there should be much: FAIL below `fail`, else WARN below `warn`. Not a number: FAIL."""
    return "PASS" if value >= max(warn, fail) else "WARN" if value >= fail else "FAIL"


def at_most(value: float, *, warn: float, fail: float) -> Verdict:
    """Grade a value that should be small: FAIL above `fail`, else WARN above `warn`. Not a number: FAIL."""
    return "PASS" if value <= min(warn, fail) else "WARN" if value <= fail else "FAIL"
