"""Rounds of questions and actions with a Windows PC over OpenSSH, as the doctor needs them; playbooks have their own connection."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpurig import access, reach
from gpurig.errors import RigError
from gpurig.host import Host
from gpurig.remote import SSH_FAILED
from gpurig.stack import Stack
from gpurig.windows import wire
from gpurig.windows.actions import Action


@dataclass(frozen=True, slots=True)
class Session:
    """A recorded PC. options: further ones of ssh's."""

    stack: Stack
    host: Host
    options: tuple[str, ...] = ()

    def round(
        self, sections: Mapping[str, Mapping[str, Any]], actions: Sequence[Action] = (), *, seconds: float = 180.0
    ) -> wire.Answer:
        """Do the actions, then read the sections. Raises UnreachableError where SSH fails, WindowsError where PowerShell does.

        seconds: more than the sections' own limits together, so that a PC whose WSL hangs still says so.
        """
        alias, endpoint, _ = self.host.machines()[0]
        command = [*access.ssh(self.stack, alias, *self.options), wire.COMMAND]
        try:
            done = subprocess.run(
                command, input=wire.request(actions, sections), capture_output=True, check=False, timeout=seconds
            )
        except subprocess.TimeoutExpired as error:
            raise RigError(f"{alias}: PowerShell gave no answer within {seconds:.0f} s.") from error
        if done.returncode == SSH_FAILED and b"<gpurig " not in done.stdout:
            raise reach.explained(self.stack, self.host, self.host.name, endpoint, wire.readable(done.stderr))
        return wire.answer(done.returncode, done.stdout, done.stderr)
