"""What one verification of one host found, and where that is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurig.stack import Stack
from gpurig.verdict import VERDICTS, Result, Verdict, overall

SCHEMA = 1
"""Version of the JSON form."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """One verification of one host.

    label: of the very machine that was verified; a rebuilt host has another one.
    started: ISO 8601, in UTC. seconds: how long it took. quick: long checks were left out.
    burn: minutes that the GPUs were kept under full load, 0 where none was.
    """

    host: str
    label: str
    started: str
    seconds: float
    quick: bool
    results: tuple[Result, ...]
    burn: float = 0.0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """Read the JSON form. Raises ValueError, KeyError or TypeError where it is damaged or of another version."""
        if data.get("schema") != SCHEMA:
            raise ValueError(f"schema {data.get('schema')!r} is not {SCHEMA}")
        own = {name: data[name] for name in ("host", "label", "started", "seconds", "quick")}
        results = tuple(Result.from_dict(result) for result in data["results"])
        return cls(**own, burn=data.get("burn", 0.0), results=results)

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
            "burn": self.burn,
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


def folder_of(stack: Stack, host: str) -> Path:
    """Where a host's reports are: latest.json, .xml, .html, .prom, and history.jsonl."""
    return stack.dir / "reports" / host


def page_of(stack: Stack) -> Path:
    """The HTML page about every host of a stack."""
    return stack.dir / "reports" / "latest.html"
