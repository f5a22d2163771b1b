"""Stand hosts up and take them down: with Pulumi where its CLI is found, else with the embedded engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.engine import Step

SIGNS = {"create": "+", "update": "~", "replace": "±", "start": ">", "end": "-", "same": " "}


@command(help={"yes": "Ask no question."})
def up(c: Context, yes: bool = False) -> None:
    """Stand up the hosts of Pulumi.<stack>.yaml; what is there already is kept."""
    from gpurig import config, engine

    stack = stack_of(c)
    wanted = config.load(stack)
    steps = [step for step in engine.preview(stack, wanted) if step.action != "same"]
    if steps and (console.on_terminal() or any(step.action in ("replace", "end") for step in steps)):
        console.say(_listing(steps))
        console.confirm("Do this?", yes=yes)
    with console.working(f"Standing up {stack.name}") as report:
        done = engine.up(stack, wanted, report=report)
    console.show(c, _as_data(done), _listing(done, verbs=True))


@command()
def preview(c: Context) -> None:
    """Show what `rig up` would do; nothing is changed."""
    from gpurig import config, engine

    stack = stack_of(c)
    steps = engine.preview(stack, config.load(stack))
    console.show(c, _as_data(steps), _listing(steps))


@command()
def refresh(c: Context) -> None:
    """Compare what is recorded with what the providers list; hosts that are gone are forgotten."""
    from gpurig import engine

    stack = stack_of(c)
    with console.working("Asking the providers") as report:
        gone = engine.refresh(stack, report=report)
    console.show(c, {"gone": gone}, "" if gone else "Every recorded host is there.")


@command(
    "host", help={"host": "End this one only.", "discard": "Let unfetched results be lost.", "yes": "Ask no question."}
)
def down(c: Context, host: str = "", discard: bool = False, yes: bool = False) -> None:
    """End all hosts, or one. Refuses while results are not brought back and verified."""
    from gpurig import engine, gate, records

    stack = stack_of(c)
    names = [host] if host else sorted({**records.load(stack), **records.intents(stack)})
    if not names:
        console.show(c, {"ended": []}, f"Stack {stack.name} has no hosts.")
        return
    console.confirm(f"End {', '.join(names)}{' and lose unfetched results' if discard else ''}?", yes=yes)
    with gate.discarding(names if discard else []), console.working("Ending hosts") as report:
        ended = engine.down(stack, names, report=report)
    console.show(c, {"ended": ended}, f"Ended: {', '.join(ended)}")


def _as_data(steps: list[Step]) -> list[dict[str, object]]:
    return [{"host": s.host, "action": s.action, "provider": s.provider, "keys": list(s.keys)} for s in steps]


def _listing(steps: list[Step], *, verbs: bool = False) -> str:
    if not steps:
        return "No hosts are configured."
    words = {
        "create": "created",
        "update": "updated",
        "replace": "replaced",
        "start": "started",
        "end": "ended",
        "same": "unchanged",
    }
    rows = [
        (SIGNS[step.action], step.host, words[step.action] if verbs else step.action, ", ".join(step.keys))
        for step in steps
    ]
    return console.table(rows)
