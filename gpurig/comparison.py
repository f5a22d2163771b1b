"""What changed on a host from one verification to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gpurig.history import Figure, Run
from gpurig.verdict import Verdict

MOVED = 0.05
"""A figure that changed by more than this part of itself is told."""

LISTED = 20
"""Checks of one kind that the text lists; JSON has all."""


@dataclass(frozen=True, slots=True)
class Change:
    """A check whose verdict is another one than before; None where it was not there."""

    check: str
    before: Verdict | None
    now: Verdict | None

    def __str__(self) -> str:
        if self.before is None:
            return f"new: {self.check}: {self.now}"
        return (
            f"gone: {self.check}: was {self.before}"
            if self.now is None
            else f"{self.before} → {self.now}: {self.check}"
        )


@dataclass(frozen=True, slots=True)
class Move:
    """A figure that changed."""

    check: str
    before: Figure
    now: Figure

    @property
    def percent(self) -> float | None:
        """By how much it is more than before; None where that cannot be said."""
        if self.before.unit != self.now.unit or not self.before.value:
            return None
        return (self.now.value - self.before.value) / abs(self.before.value) * 100

    def __str__(self) -> str:
        by = "" if self.percent is None else f" ({self.percent:+.1f} %)"
        return f"moved: {self.check}: {self.before} → {self.now}{by}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What changed since the run before; nothing where there was none of its kind, which is quick or full."""

    host: str
    now: Run
    before: Run | None
    changed: tuple[Change, ...] = ()
    appeared: tuple[Change, ...] = ()
    vanished: tuple[Change, ...] = ()
    moved: tuple[Move, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form. `with` is null where there was nothing to compare with."""
        before = self.before
        return {
            "with": before
            and {"started": before.started, "label": before.label, "same_machine": before.label == self.now.label},
            "changed": [{"check": c.check, "before": c.before, "now": c.now} for c in self.changed],
            "appeared": [{"check": c.check, "now": c.now} for c in self.appeared],
            "vanished": [{"check": c.check, "before": c.before} for c in self.vanished],
            "figures": [
                {"check": m.check, "before": m.before._asdict(), "now": m.now._asdict(), "percent": m.percent}
                for m in self.moved
            ],
        }

    def __str__(self) -> str:
        kind = "quick" if self.now.quick else "full"
        if not self.before:
            return f"{self.host}: nothing to compare with: there was no earlier {kind} verification."
        at = f"{datetime.fromisoformat(self.before.started).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        machine = "" if self.before.label == self.now.label else ", which was of an earlier machine"
        head = f"{self.host}, compared with the {kind} verification of {at}{machine}:"
        lines = [line for part in (self.changed, self.appeared, self.vanished, self.moved) for line in _listed(part)]
        return "\n  ".join([head, *(lines or ["nothing changed."])])


def compare(host: str, before: Run | None, now: Run) -> Comparison:
    """Compare a run of a host with an earlier one."""
    if not before:
        return Comparison(host=host, now=now, before=None)
    both = [check for check in now.checks if check in before.checks]
    changes = [Change(check, before.checks[check], now.checks[check]) for check in both]
    moves = [Move(name, before.figures[name], now.figures[name]) for name in now.figures if name in before.figures]
    return Comparison(
        host=host,
        now=now,
        before=before,
        changed=tuple(change for change in changes if change.before != change.now),
        appeared=tuple(Change(check, None, now.checks[check]) for check in now.checks if check not in before.checks),
        vanished=tuple(Change(check, before.checks[check], None) for check in before.checks if check not in now.checks),
        moved=tuple(move for move in moves if _tells(move)),
    )


def _tells(move: Move) -> bool:
    return move.before != move.now if move.percent is None else abs(move.percent) > MOVED * 100


def _listed(part: tuple[Change, ...] | tuple[Move, ...]) -> Iterator[str]:
    yield from map(str, part[:LISTED])
    if len(part) > LISTED:
        yield f"… and {len(part) - LISTED} more ({str(part[LISTED]).partition(':')[0]}, …); --json lists all."
