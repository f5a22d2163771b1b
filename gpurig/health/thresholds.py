"""What is measured against: `thresholds.toml`, and what a user set for a host instead."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurig.health.finding import Wanted
from gpurig.mistakes import did_you_mean

FILE = Path(__file__).with_name("thresholds.toml")

PREFIX = "gpu_"
"""What a host variable that replaces a threshold begins with."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """value: a number, in the unit that `about` names. source: where it comes from."""

    name: str
    value: float
    about: str
    source: str
    of_user: bool = False


def of(name: str, wanted: Wanted) -> Threshold:
    """A threshold by its name: the user's where he set one. Raises KeyError for a name that the table lacks."""
    default = table()[name]
    if name not in wanted.policy:
        return default
    return Threshold(name, wanted.policy[name], default.about, f"{PREFIX}{name} of this host", of_user=True)


def accepted(name: str, wanted: Wanted) -> Threshold | None:
    """A threshold that stands for "as much as the GPU has" unless the user set it: the user's, or None."""
    found = of(name, wanted)
    return found if found.of_user and found.value else None


def policy(variables: Mapping[str, Any]) -> dict[str, float]:
    """Those of a host's variables that replace thresholds, by the thresholds' names. Others are left out."""
    known = table()
    found = {key.removeprefix(PREFIX): value for key, value in variables.items() if key.startswith(PREFIX)}
    return {name: value for name, value in found.items() if name in known and _is_limit(value)}


def mistakes(variables: Mapping[str, Any], others: Iterable[str] = ()) -> list[str]:
    """What is wrong with a host's variables that begin with `gpu_`: each begins with the variable's name.

    others: variables of that beginning that are not thresholds.
    """
    known = [f"{PREFIX}{name}" for name in table()]
    allowed = {*known, *others}
    return [
        f"{key}: no such threshold{did_you_mean(key, known)}; see gpurig/health/thresholds.toml."
        if key not in allowed
        else f"{key}: found {value!r}: write a number of 0 or more: {table()[key.removeprefix(PREFIX)].about}."
        for key, value in variables.items()
        if key.startswith(PREFIX) and (key not in allowed or (key in known and not _is_limit(value)))
    ]


@functools.cache
def table() -> dict[str, Threshold]:
    """Every threshold, by name."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {name: Threshold(name, row["value"], row["about"], row["source"]) for name, row in rows.items()}


def _is_limit(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
