"""Pulumi as the engine: the same verbs as gpurig.engine, by its real CLI.

Its state is Pulumi's own. What it does not know of, such as hosts that the embedded engine made or that an interrupted
run left, is found in the records here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gpurig import budget, engine, records
from gpurig.config import StackConfig
from gpurig.engine import Step
from gpurig.errors import RigError
from gpurig.providers import Report
from gpurig.pulumi_process import Cli, PulumiError, find
from gpurig.stack import Stack, remember

TYPE = "pulumi-python:dynamic/gpurig:Host"
"""What Pulumi calls the type of gpurig.program.HostResource."""

_UNTOLD: tuple[str, ...] = ()
"""Providers of a host that only Pulumi's state knows."""

QUICK = ("--yes", "--skip-preview")

__all__ = ["down", "find", "preview", "refresh", "replace", "up"]


def preview(stack: Stack, config: StackConfig, *, report: Report) -> list[Step]:
    """What `up` would do to hosts; Pulumi's words about all resources go to `report`. Raises RigError."""
    cli = _cli(stack, report)
    if _exported(cli):
        cli.work("preview")
    return engine.preview(stack, config)


def up(stack: Stack, config: StackConfig, *, report: Report) -> list[Step]:
    """Bring every host to what the configuration says, by `pulumi up`. Returns the steps. Raises RigError."""
    with engine.exclusive(stack):
        remember(stack)
        budget.remember(stack, config.budget)
        steps = engine.preview(stack, config)
        engine.pass_gate(stack, steps)
        cli = _ready(stack, report)
        cli.work("up", "--continue-on-error", *QUICK)
        left = {name: at for name, at in engine.known(stack).items() if name not in config.hosts}
        engine.end(stack, left, report=report)
        return steps


def replace(stack: Stack, config: StackConfig, name: str, *, report: Report) -> None:
    """End one host, if it passes the destroy gate, and make it anew; others are left alone. Raises RigError."""
    with engine.exclusive(stack):
        spec = engine.configured(stack, config, name)
        cli = _ready(stack, report)
        known = {host: at for host, at in engine.known(stack).items() if host == name}
        engine.pass_gate(stack, [Step(host, "replace", ", ".join(at)) for host, at in known.items()])
        if spec.in_program:
            engine.end(stack, known, report=report)
            cli.work("up", f"--target=**::{name}", *QUICK)  # the machine's resources have the host's name too
        elif name in _managed(_exported(cli)):
            cli.work("up", f"--target-replace={_urn(stack, name)}", *QUICK)
        else:
            engine.end(stack, known, report=report)
            cli.work("up", f"--target={_urn(stack, name)}", *QUICK)


def refresh(stack: Stack, *, report: Report) -> list[str]:
    """Let Pulumi compare its state with what the providers list. Returns the hosts that are gone. Raises RigError."""
    with engine.exclusive(stack):
        cli = _cli(stack, report)
        before = set(records.load(stack))
        managed = _managed(_exported(cli))
        if managed:
            cli.work("refresh", "--clear-pending-creates", *QUICK)
        engine.forget_gone(stack, before - managed, report=report)
        return sorted(before - set(records.load(stack)))


def down(stack: Stack, names: Iterable[str] | None, *, report: Report) -> list[str]:
    """End the named hosts, or with None everything of the stack, by `pulumi destroy`. Returns the hosts' names."""
    with engine.exclusive(stack):
        cli = _cli(stack, report)
        exported = _exported(cli)
        managed = _managed(exported)
        chosen = engine.choose(stack, dict.fromkeys(managed, _UNTOLD) | engine.known(stack), names)
        engine.pass_gate(stack, [Step(name, "end", ", ".join(at)) for name, at in chosen.items()])
        targets = [f"--target={_urn(stack, name)}" for name in chosen if name in managed]
        if exported and names is None:
            cli.work("destroy", "--continue-on-error", *QUICK)
        elif targets:
            cli.work("destroy", "--continue-on-error", *QUICK, *targets)
        left = {name: at for name, at in engine.known(stack).items() if name in chosen}
        engine.end(stack, left, report=report)
        return list(chosen)


def _cli(stack: Stack, report: Report) -> Cli:
    program = find()
    if program is None:
        raise RigError("Pulumi's CLI is not found; install it with `make setup-pulumi`.")
    return Cli.open(program, stack, report=report)


def _ready(stack: Stack, report: Report) -> Cli:
    """The CLI, once Pulumi knows the stack and does not ask a human what became of an interrupted `up`.

    What was interrupted while it made a host of ours needs no human: the life cycle adopts what it finds.
    """
    cli = _cli(stack, report)
    exported = _exported(cli)
    if exported is None:
        where = cli.environment.get("PULUMI_BACKEND_URL", "the backend that you are logged in to")
        report(f"Pulumi gets a stack {stack.name}; its state is kept in {where}.")
        cli.ask("stack", "init", "--no-select")
        return cli
    pending = exported["deployment"].get("pending_operations") or []
    if pending and all(operation["resource"]["type"] == TYPE for operation in pending):
        del exported["deployment"]["pending_operations"]
        cli.ask("stack", "import", data=json.dumps(exported))
    return cli


def _exported(cli: Cli) -> dict[str, Any] | None:
    """The stack as Pulumi's state has it, with secrets encrypted; None where Pulumi does not know it."""
    try:
        exported: dict[str, Any] = json.loads(cli.ask("stack", "export"))
    except PulumiError as error:
        if "no stack named" in str(error):
            return None
        raise
    return exported


def _managed(exported: dict[str, Any] | None) -> set[str]:
    """Names of the hosts in Pulumi's state."""
    resources = exported["deployment"].get("resources") or [] if exported else []
    return {resource["urn"].rsplit("::", 1)[1] for resource in resources if resource["type"] == TYPE}


def _urn(stack: Stack, name: str) -> str:
    return f"urn:pulumi:{stack.name}::{stack.project}::{TYPE}::{name}"
