"""Stand hosts up and take them down: with Pulumi where its CLI is found, else with the embedded engine."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING

from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

    from gpurig.config import StackConfig
    from gpurig.engine import Step
    from gpurig.stack import Stack

SIGNS = {"create": "+", "update": "~", "replace": "±", "start": ">", "end": "-", "same": " "}
DONE = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "start": "started",
    "end": "ended",
    "same": "unchanged",
}


@command(short={"yes": "y"}, help={"yes": "Ask no question."})
def up(c: Context, yes: bool = False) -> None:
    """Stand up the hosts of Pulumi.<stack>.yaml; what is there already is kept."""
    from gpurig import engine, records
    from gpurig.ops import ssh_config

    stack = stack_of(c)
    chosen = engine_in_use()
    wanted = configuration(stack)
    steps = [step for step in engine.preview(stack, wanted) if step.action != "same"]
    if steps and (console.on_terminal() or any(step.action in ("replace", "end") for step in steps)):
        console.say(_listing(steps))
        console.confirm("Do this?", yes=yes)
    with console.working(f"Standing up {stack.name}") as report:
        done = chosen.up(stack, wanted, report=report)
    records.publish(stack)  # also where nothing changed: this gpurig may write it better than the one before
    console.show(c, _as_data(done), _listing(done, DONE))
    ssh_config.offer(stack, yes=yes)


@command()
def preview(c: Context) -> None:
    """Show what `rig up` would do; nothing is changed."""
    from gpurig import engine

    stack = stack_of(c)
    chosen = engine_in_use()
    wanted = configuration(stack)
    if chosen is engine:
        steps = engine.preview(stack, wanted)
    else:
        with console.working("Asking Pulumi") as report:
            steps = chosen.preview(stack, wanted, report=report)
    console.show(c, _as_data(steps), _listing(steps))


@command()
def refresh(c: Context) -> None:
    """Compare what is recorded with what the providers list; hosts that are gone are forgotten."""
    stack = stack_of(c)
    with console.working("Asking the providers") as report:
        gone = engine_in_use().refresh(stack, report=report)
    console.show(c, {"gone": gone}, "" if gone else "Every recorded host is there.")


@command(
    "host", help={"host": "End this one only.", "discard": "Let unfetched results be lost.", "yes": "Ask no question."}
)
def down(c: Context, host: str = "", discard: bool = False, yes: bool = False) -> None:
    """End all hosts, or one. Refuses while results are not brought back and verified."""
    from gpurig import engine, gate

    stack = stack_of(c)
    names = [host] if host else sorted(engine.known(stack))
    if not names:
        console.show(c, {"ended": []}, f"Stack {stack.name} has no hosts.")
        return
    console.confirm(f"End {', '.join(names)}{' and lose unfetched results' if discard else ''}?", yes=yes)
    with gate.discarding(names if discard else []), console.working("Ending hosts") as report:
        ended = engine_in_use().down(stack, [host] if host else None, report=report)
    console.show(c, {"ended": ended}, f"Ended: {', '.join(ended)}")


def engine_in_use() -> ModuleType:
    """gpurig.pulumi_cli where Pulumi's CLI is found, else gpurig.engine, and says so. Both have the same functions."""
    from gpurig import engine, pulumi_cli

    if pulumi_cli.find():
        return pulumi_cli
    if not os.environ.get("GPURIG_ENGINE"):
        console.say("Pulumi's CLI is not found, so the embedded engine is used.")
    return engine


def configuration(stack: Stack) -> StackConfig:
    """The stack's configuration. Pulumi reads its own encrypted secrets; for the embedded engine they must be readable."""
    from gpurig import config, pulumi_cli

    return config.load(stack, pulumi_decrypts=pulumi_cli.find() is not None)


def _as_data(steps: Sequence[Step]) -> list[dict[str, object]]:
    return [{"host": s.host, "action": s.action, "provider": s.provider, "keys": list(s.keys)} for s in steps]


def _listing(steps: Sequence[Step], words: dict[str, str] | None = None) -> str:
    """One line per host, in the engine's words for what is to be done or in others for what was."""
    if not steps:
        return "No hosts are configured."
    named = words or {}
    return console.table(
        [(SIGNS[step.action], step.host, named.get(step.action, step.action), ", ".join(step.keys)) for step in steps]
    )
