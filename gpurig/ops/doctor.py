"""`rig doctor`: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from invoke.exceptions import Exit

from gpurig.errors import ConfigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke.context import Context

    from gpurig.doctor import Finding


@command("host", help={"host": "Walk to this host, step by step; else look at this machine."})
def doctor(c: Context, host: str = "") -> None:
    """Find what is missing here, or on the way to a host. Exit code 1 when something needed is missing."""
    from gpurig.doctor import worst

    findings = []
    for finding in _examined(c, host):
        findings.append(finding)
        if not c.config.gpurig.json:
            sys.stdout.write(_line(finding))
            sys.stdout.flush()
    console.show(c, [asdict(finding) for finding in findings], "")
    if worst(findings) == "FAIL":
        raise Exit(code=1)


def _examined(c: Context, host: str) -> Iterator[Finding]:
    from gpurig.doctor import machine, way
    from gpurig.ops.hosts import configuration

    if host:
        yield from way.examine(stack_of(c), host)
        return
    try:
        stack = stack_of(c)
    except ConfigError as error:
        console.say(str(error))
        yield from machine.examine(None, configuration)
    else:
        yield from machine.examine(stack, configuration)


def _line(finding: Finding) -> str:
    shown = f"{finding.level:4}  {finding.what}: {finding.found}\n"
    return f"{shown}      → {finding.advice}\n" if finding.advice else shown
