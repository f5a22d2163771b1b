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
    from collections.abc import Iterable, Iterator

    from invoke.context import Context

    from gpurig.doctor import Finding


@command(
    "host",
    help={
        "host": "Walk to this host, step by step; else look at this machine.",
        "fix": "For a Windows PC: do what is safe about what was found, then look again.",
        "capture": "For a Windows PC: write all that it says, without names and addresses, to this file.",
        "from_": "For a Windows PC that answers nobody: judge what doctor-HOST.ps1 brought from it.",
        "yes": "Do not ask.",
    },
)
def doctor(
    c: Context, host: str = "", fix: bool = False, capture: str = "", from_: str = "", yes: bool = False
) -> None:
    """Find what is missing here, or on the way to a host. Exit code 1 when something needed is missing."""
    from gpurig.doctor import worst

    if fix or capture or from_:
        from gpurig.ops import pc

        found = pc.doctor(c, host, fix=fix, capture=capture, brought=from_, yes=yes)
    else:
        found = shown(c, _examined(c, host))
    console.show(c, [asdict(finding) for finding in found], "")
    if worst(found) == "FAIL":
        raise Exit(code=1)


def shown(c: Context, findings: Iterable[Finding]) -> list[Finding]:
    """These findings, each told as soon as it is there."""
    found = []
    for finding in findings:
        found.append(finding)
        if not c.config.gpurig.json:
            sys.stdout.write(_line(finding))
            sys.stdout.flush()
    return found


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
