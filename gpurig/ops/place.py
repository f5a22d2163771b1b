"""Which stack, host and run a command is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gpurig import records
from gpurig.errors import ConfigError, RigError
from gpurig.stack import Stack, open_stack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from invoke.context import Context

    from gpurig.remote import Place


def stack_of(c: Context) -> Stack:
    """The stack of --stack, else as gpurig.stack.open_stack chooses."""
    return open_stack(c.config.gpurig.stack or None)


def stack_if_any(c: Context) -> Stack | None:
    """The same; None outside a project or where none is chosen, for commands that can do without one."""
    if c.config.gpurig.stack:
        return stack_of(c)
    try:
        return open_stack()
    except ConfigError:
        return None


def place_of(c: Context, host: str) -> Place:
    """A recorded host, by name; without one, the only host that there is. Raises RigError that lists the hosts."""
    from gpurig.remote import Place

    stack = stack_of(c)
    if host:
        return Place(stack, records.require(stack, host))
    hosts = records.load(stack)
    if len(hosts) != 1:
        known = ", ".join(hosts) or "none; `rig up` stands them up"
        raise ConfigError(f"Which host? Stack {stack.name} has: {known}.")
    return Place(stack, next(iter(hosts.values())))


@contextmanager
def reading_records() -> Iterator[None]:
    """Around what reads every record of a stack: where one is damaged, also says what ends the hosts nevertheless."""
    try:
        yield
    except RigError as error:
        raise RigError(f"{error} Or `rig down --all` ends every host of this stack, whatever is damaged.") from error


def choose(name: str, names: Iterable[str], host: str) -> str:
    """The run that `name`, or a part that only one has, means; the latest where it is empty."""
    known = sorted(names)
    if not known:
        raise ConfigError(f"{host} has no runs; `rig train {host} SCRIPT` starts one.")
    if not name:
        return known[-1]
    found = [name] if name in known else [run for run in known if name in run]
    if len(found) != 1:
        raise ConfigError(
            f"{host}: {'several runs match' if found else 'no run matches'} {name!r}. Runs: {', '.join(known)}."
        )
    return found[0]
