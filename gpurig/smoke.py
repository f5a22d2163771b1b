"""What an environment's smoke test said, and what is wrong with it."""

from __future__ import annotations

import json
import math
from typing import Any

WANTED = (
    'a smoke test must print as its last line one JSON object with "task", "seconds" (above 0) and at least one more '
    'number, such as {"task": "trains", "seconds": 1.5, "accuracy": 0.9}'
)

GAVE_UP = 124
"""Exit code of `timeout` where the time was up."""


def judge(status: int, out: str, err: str, seconds: int) -> tuple[str, dict[str, Any]]:
    """What is wrong with a smoke test, empty where nothing is; and what it said.

    status: its exit code; out, err: what it printed; seconds: how long it was given.
    """
    last = (out.strip().splitlines() or [""])[-1]
    if status:
        said = (err.strip().splitlines() or [last])[-1]
        return (f"gave up after {seconds} s" if status == GAVE_UP else f"exit code {status}: {said}"), {}
    try:
        found = json.loads(last)
        figures = {key: value for key, value in found.items() if isinstance(value, int | float)}
    except (ValueError, AttributeError):
        return f"its last line is {last[:200]!r}; {WANTED}", {}
    wrong = [f"{key} is {value}" for key, value in figures.items() if not math.isfinite(value) or value < 0]
    if not {"task", "seconds"} <= set(found) or len(figures) < 2 or figures.get("seconds", 0) <= 0:  # noqa: PLR2004 (seconds and another)
        return f"its last line is {last[:200]!r}; {WANTED}", found
    return ", ".join(wrong), found


def summary(found: dict[str, Any]) -> str:
    """What a smoke test that passed said, in one line."""
    figures = [f"{key} {value}" for key, value in found.items() if isinstance(value, int | float)]
    return f"{found['task']}: {', '.join(figures)}"
