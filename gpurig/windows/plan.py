"""What a plan is: the outcome of comparing what is with what shall be, for one topic."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gpurig.errors import ConfigError
from gpurig.windows.actions import Action

Wanted = TypeVar("Wanted")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing may be done. key: of the host's entry, such as wsl.memory; empty where no key is to blame.

    passing: an earlier topic may cure it, so it counts only when this topic's turn has come.
    """

    key: str
    text: str
    passing: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """actions: in order. refusals: then nothing is done. reboot: why Windows must restart before the rest can be done.

    warnings: what is odd and not ours to mend.
    """

    actions: tuple[Action, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    reboot: str = ""
    warnings: tuple[str, ...] = ()

    def unsettled(self) -> tuple[Action, ...]:
        """What a second look must not find: all but fetches, since the state does not tell whether a file is whole."""
        return tuple(action for action in self.actions if action.kind != "file_fetch")

    def diff(self) -> list[dict[str, str]]:
        """For --diff: something of every action, also of one that leaves nothing behind, and of the restart of Windows."""
        shown = [(one.before, one.after) if one.before != one.after else ("", one.told()) for one in self.actions]
        if self.reboot:
            shown.append(("Windows: runs", f"Windows: restarts, since {self.reboot}"))
        return [{"before": f"{before}\n", "after": f"{after}\n"} for before, after in shown]


def unread(state: Mapping[str, Any], sections: Iterable[str]) -> tuple[Refusal, ...]:
    """Refusals for the sections that a topic needs and that could not be read."""
    found = ((name, state[name]["error"]) for name in sections if "error" in state[name])
    return tuple(Refusal("", f"{name}: {said['message']} ({said['hresult']})") for name, said in found)


def wanted(kind: type[Wanted], values: Mapping[str, Any], prefix: str) -> Wanted:
    """A topic's `Wanted` from variables named prefix + field; what is not given has its default.

    Raises ConfigError that names every variable with a value of the wrong type.
    """
    from pydantic import TypeAdapter, ValidationError

    names = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]  # every Wanted is a dataclass
    given = {name: values[prefix + name] for name in names if prefix + name in values}
    try:
        return TypeAdapter(kind).validate_python(given)
    except ValidationError as error:
        lines = [f"{prefix}{'.'.join(map(str, e['loc']))}: found {e['input']!r}: {e['msg']}" for e in error.errors()]
        raise ConfigError("\n".join(lines)) from error
