"""`rig down --all`: end every host of a stack, whatever is left of its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.exceptions import Exit

from gpurig.errors import ConfigError, RigError
from gpurig.ops import console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from invoke.context import Context

    from gpurig.providers import Report
    from gpurig.stack import Stack


def end_everything(c: Context, stack: Stack, host: str, *, discard: bool, yes: bool) -> None:
    """End what can be ended, and exit with 1 where anything could not be, or could not be looked at."""
    from gpurig import accounts, engine, gate, providers, reap, remains

    if host:
        raise ConfigError(f"rig down --all ends every host; leave {host} out, or --all.")
    without_key = accounts.without_key(providers.RENTERS)
    with console.working("Asking the vendors"):
        listed = reap.listing([name for name in providers.RENTERS if name not in without_key])
    found = remains.hosts(stack, listed, report=console.say)
    if without_key:
        console.say(f"Not asked, since their keys are not here: {', '.join(without_key)}.")
    failed: dict[str, str] = {}
    if found:
        places = ", ".join(f"{name} ({', '.join(at) or 'nobody knows where'})" for name, at in found.items())
        console.confirm(f"End {places}{' and lose unfetched results' if discard else ''}?", yes=yes)
        with gate.discarding(found if discard else ()), console.working("Ending hosts") as report:
            with engine.exclusive(stack):
                remains.secure(stack, found)
            _by_pulumi(stack, report)
            with engine.exclusive(stack):
                failed = remains.end(stack, found, listed, report=report)
    ended = [name for name in found if name not in failed]
    data = {"ended": ended, "failed": failed, "problems": dict(listed.problems)}
    console.show(c, data, _text(stack, ended, found))
    if failed or listed.problems:
        raise Exit("\n".join([*failed.values(), *listed.problems.values()]), code=1)


def _by_pulumi(stack: Stack, report: Report) -> None:
    """Let Pulumi end what it knows of, so that its state does not go on telling of it; where it cannot, that is told."""
    from gpurig import pulumi_cli

    if not pulumi_cli.find():
        return
    try:
        pulumi_cli.down(stack, None, report=report)
    except RigError as error:
        report(f"Warning: Pulumi could not end this stack, so it goes on without: {error}")


def _text(stack: Stack, ended: Iterable[str], found: Iterable[str]) -> str:
    if not list(found):
        return f"Stack {stack.name} has no hosts, as far as can be told."
    return f"Ended: {', '.join(ended) or 'none'}"
