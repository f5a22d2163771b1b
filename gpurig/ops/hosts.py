"""Stand hosts up and take them down: with Pulumi where its CLI is found, else with the embedded engine."""

from __future__ import annotations

import os
import re
from types import ModuleType
from typing import TYPE_CHECKING

from gpurig.errors import RigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import reading_records, stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.config import StackConfig
    from gpurig.engine import Step
    from gpurig.ops.spending import Plan
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


@command(short={"yes": "y"}, help={"yes": "Ask no question; also not before money is spent."})
def up(c: Context, yes: bool = False) -> None:
    """Stand up the hosts of Pulumi.<stack>.yaml; what is there already is kept.

    Says for every host that is to be rented what it costs, and asks first; gpurig:budget and max_price refuse before that.
    """
    from gpurig import engine, records
    from gpurig.ops import spending, ssh_config

    stack = stack_of(c)
    chosen = engine_in_use()
    wanted = configuration(stack)
    if chosen is engine:
        engine.possible(stack, wanted.hosts)
    every = engine.preview(stack, wanted)
    plan = spending.planned(stack, wanted, [step for step in every if step.action != "same"])
    destroys = any(step.action in ("replace", "end") for step in plan.steps)
    if plan.steps and (console.on_terminal() or destroys or plan.spends):
        console.say(_listing(plan))
        spending.warn(plan, at_once=yes)
        spending.refuse(plan, stack, wanted)
        console.confirm("Do this?", yes=yes)
    try:
        with console.working(f"Standing up {stack.name}") as report:
            done = chosen.up(stack, wanted, report=report)
    except RigError as error:
        done = [step for step in every if _is_done(stack, wanted, step, error)]
        if any(step.action != "same" for step in done):
            console.show(c, _as_data(spending.Plan(done)), _listing(spending.Plan(done), DONE))
        raise
    records.publish(stack)  # also where nothing changed: this gpurig may write it better than the one before
    console.show(c, _as_data(spending.Plan(done)), _listing(spending.Plan(done), DONE))
    ssh_config.offer(stack, yes=yes)


@command()
def preview(c: Context) -> None:
    """Show what `rig up` would do, and what renting would cost; nothing is changed."""
    from gpurig import engine
    from gpurig.ops import spending

    stack = stack_of(c)
    chosen = engine_in_use()
    wanted = configuration(stack)
    if chosen is engine:
        engine.possible(stack, wanted.hosts)
        steps = engine.preview(stack, wanted)
    else:
        with console.working("Asking Pulumi") as report:
            steps = chosen.preview(stack, wanted, report=report)
    plan = spending.planned(stack, wanted, steps)
    console.show(c, _as_data(plan), _listing(plan))
    spending.warn(plan)
    spending.refuse(plan, stack, wanted)


@command()
def refresh(c: Context) -> None:
    """Compare what is recorded with what the providers list; hosts that are gone are forgotten."""
    from gpurig import accounts, records

    stack = stack_of(c)
    accounts.provide(stack, report=console.say)
    there = records.load(stack)
    with console.working("Asking the providers") as report:
        gone = engine_in_use().refresh(stack, report=report)
    told = (
        "Every recorded host is there."
        if there
        else f"Stack {stack.name} has no recorded hosts; `rig up` stands them up."
    )
    console.show(c, {"gone": gone}, "" if gone else told)


@command(
    "host",
    help={
        "host": "End this one only.",
        "all": "Also what no record tells of: ask every vendor whose key is here. For a lost or damaged stack.",
        "discard": "Let unfetched results be lost.",
        "yes": "Ask no question.",
    },
)
def down(c: Context, host: str = "", all: bool = False, discard: bool = False, yes: bool = False) -> None:  # noqa: A002 (the option is called --all)
    """End all hosts, or one. Refuses while results are not brought back and verified.

    With --all, works also where records, configuration, ledger or Pulumi's state are lost or damaged: hosts are taken from
    whatever is left of them, and every vendor whose key is here is asked for machines with this stack's mark. What cannot
    be ended is told, and does not stop the rest.
    """
    from gpurig import accounts, engine, gate

    stack = stack_of(c)
    accounts.provide(stack, report=console.say)
    if all:
        from gpurig.ops import salvage

        salvage.end_everything(c, stack, host, discard=discard, yes=yes)
        return
    with reading_records():
        known = sorted(engine.known(stack))
    names = [host] if host else known
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
    """The stack's configuration, its keys put where providers look for them.

    Pulumi reads its own encrypted secrets; for the embedded engine they must be readable.
    """
    from gpurig import accounts, config, pulumi_cli

    wanted = config.load(stack, pulumi_decrypts=pulumi_cli.find() is not None)
    accounts.provide(stack, report=console.say)
    return wanted


def _is_done(stack: Stack, wanted: StackConfig, step: Step, failure: RigError) -> bool:
    """Whether a step was done although others failed: nothing is noted as open, the record fits, no failure names it."""
    from gpurig import records

    if step.host in records.intents(stack) or re.search(
        rf"(?m)^{step.host}:|gpurig:hosts\.{step.host}\b", str(failure)
    ):
        return False
    record = records.get(stack, step.host)
    if record is None or step.action == "end":
        return record is None and step.action == "end"
    return record.spec == wanted.hosts[step.host].normalised()


def _as_data(plan: Plan) -> list[dict[str, object]]:
    from gpurig.ops import spending

    return [
        {
            "host": s.host,
            "action": s.action,
            "provider": s.provider,
            "keys": list(s.keys),
            **spending.as_data(plan, s.host),
        }
        for s in plan.steps
    ]


def _listing(plan: Plan, words: dict[str, str] | None = None) -> str:
    """One line per host, in the engine's words for what is to be done or in others for what was."""
    from gpurig.ops import spending

    if not plan.steps:
        return "No hosts are configured."
    named = words or {}
    return console.table(
        [
            (SIGNS[s.action], s.host, named.get(s.action, s.action), ", ".join(s.keys), spending.words(plan, s.host))
            for s in plan.steps
        ]
    )
