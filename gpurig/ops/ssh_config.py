"""The line in the user's own SSH configuration that makes `ssh HOST` work everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurig import access
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.stack import Stack


@command(short={"yes": "y"}, help={"yes": "Ask no question."})
def ssh_config(c: Context, yes: bool = False) -> None:
    """Let `ssh HOST` and `ssh -N HOST.tunnel` work: one line in ~/.ssh/config, after a question."""
    stack = stack_of(c)
    line, file = access.include_line(stack.home), str(access.user_config())
    included = access.is_included(stack.home)
    if not included:
        console.confirm(f"Put this line first in {file}?\n  {line}\n", yes=yes)
        access.add_include(stack.home)
    console.show(c, {"line": line, "file": file, "added": not included}, "" if included else f"Added to {file}.")
    if included:
        console.say(f"{file} has the line already.")


def offer(stack: Stack, *, yes: bool) -> None:
    """Tell of that line, once; on a terminal ask whether to add it. --yes does not answer this question."""
    told = stack.home / "told-of-ssh-config"
    if access.is_included(stack.home) or told.exists():
        return
    told.touch(mode=0o600)
    line, file = access.include_line(stack.home), access.user_config()
    if yes or not console.on_terminal():
        console.say(
            f"For `ssh HOST` to work everywhere, put this line first in {file}, or run `rig ssh-config`:\n  {line}"
        )
    elif console.agrees(f"Put this line first in {file}, so that `ssh HOST` works everywhere?\n  {line}\n"):
        access.add_include(stack.home)
