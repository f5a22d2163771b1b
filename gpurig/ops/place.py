"""Which stack and host a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpurig.stack import Stack, open_stack

if TYPE_CHECKING:
    from invoke.context import Context


def stack_of(c: Context) -> Stack:
    """The stack of --stack, else as gpurig.stack.open_stack chooses."""
    return open_stack(c.config.gpurig.stack or None)
