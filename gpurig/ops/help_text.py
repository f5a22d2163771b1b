"""`rig --help`, and `rig COMMAND --help`."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping, Sequence

from gpurig.ops.command import Command

WIDTH = 100

GLOBAL = (
    ("--stack NAME", "The stack, for Pulumi.NAME.yaml. Else GPURIG_STACK, Pulumi's own, the last one used."),
    ("--json", "Print data as JSON."),
    ("--debug", "Show where in the program an error arose."),
    ("--version", "Print the version."),
    ("--print-completion-script SHELL", "Completion for bash, zsh or fish."),
)

EXIT_CODES = "Exit codes: 0 done, 1 failed, 2 wrong use or configuration, 3 verification found a FAIL."


def overview(groups: Mapping[str, Sequence[Command]]) -> str:
    """Every command on one line, by group."""
    usages = {
        command.name: f"{command.name} {command.usage()}".rstrip() for group in groups.values() for command in group
    }
    width = max(map(len, usages.values()))
    lines = ["Usage: rig [--stack NAME] COMMAND …    (rig COMMAND --help says more)"]
    for heading, commands in groups.items():
        lines += ["", heading]
        lines += [f"  {usages[command.name]:{width}}  {_summary(command)}" for command in commands]
    lines += ["", "Everywhere", *_columns(GLOBAL), "", EXIT_CODES]
    return "\n".join(lines) + "\n"


def of_command(command: Command) -> str:
    """What one command does and takes."""
    text = inspect.getdoc(command.body) or ""
    words = [
        (word.upper(), command.help.get(word, ""))
        for word in [*command.words, *([command.rest] if command.rest else [])]
    ]
    hidden = {*command.words, command.rest}
    options = [
        (
            ", ".join(_flag(name) for name in sorted(argument.names, key=len))
            + ("" if not argument.takes_value else "[=…]" if argument.optional else " …"),
            argument.help or "",
        )
        for argument in command.get_arguments()
        if argument.name not in hidden
    ]
    lines = [f"Usage: rig {command.name} {'[options] ' if options else ''}{command.usage()}".rstrip(), "", text]
    for heading, rows in (("Words", words), ("Options", options)):
        if rows:
            lines += ["", heading, *_columns(rows)]
    return "\n".join(lines) + "\n"


def _columns(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    lines = []
    for name, text in rows:
        first, *more = textwrap.wrap(text, WIDTH - width - 4) or [""]
        lines += [f"  {name:{width}}  {first}".rstrip(), *(f"{'':{width + 4}}{line}" for line in more)]
    return lines


def _summary(command: Command) -> str:
    """The first sentence of the docstring."""
    first = (inspect.getdoc(command.body) or "").partition("\n")[0]
    return first.partition(". ")[0].rstrip(".").partition("; ")[0]


def _flag(name: str) -> str:
    return f"-{name}" if len(name) == 1 else f"--{name}"
