"""What `rig doctor --fix` does about failures: only what is safe, and never under somebody's work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpurig.windows.actions import Action
from gpurig.windows.failures.case import RESTARTS, Case, Failure

ENDS_WSL = frozenset({"vmcompute", "hns", "WSLService"})
"""Services whose restart ends what runs inside WSL."""

LAST = ("wsl_shutdown", "service_restart", "task_start")
"""What comes last, in this order: WSL is shut down once, when all is ready for its next start. All else stays as planned."""


@dataclass(frozen=True, slots=True)
class Mending:
    """actions: in order, each once. held: numbers of failures that must wait, since who is working would lose work inside WSL."""

    actions: tuple[Action, ...]
    held: tuple[int, ...]
    working: tuple[str, ...] = ()


def mending(case: Case, failures: Iterable[Failure]) -> Mending:
    """What can be done now."""
    able = [failure for failure in failures if failure.actions]
    working = tuple(case.busy)
    held = tuple(failure.number for failure in able if working and any(map(_restarts, failure.actions)))
    chosen: list[Action] = []
    for failure in able:
        if failure.number not in held:
            chosen += [action for action in failure.actions if not any(_same(action, other) for other in chosen)]
    if not _keeper(case, chosen):
        chosen = [action for action in chosen if action.kind != "task_start"]
    return Mending(tuple(sorted(chosen, key=_place)), held, working)


def _keeper(case: Case, chosen: Iterable[Action]) -> bool:
    """Whether there is a keeper to be started: not where nobody wants one."""
    keeper = case.section("keeper")
    return not keeper or keeper["xml"] is not None or any(action.kind == "task_register" for action in chosen)


def _restarts(action: Action) -> bool:
    if action.kind == "service_restart":
        return action.parameters["name"] in ENDS_WSL
    return action.kind in RESTARTS


def _same(one: Action, other: Action) -> bool:
    return (one.kind, one.parameters) == (other.kind, other.parameters)


def _place(action: Action) -> int:
    return LAST.index(action.kind) if action.kind in LAST else -1
