"""Commands on a host, through OpenSSH.

OpenSSH rather than Fabric's own connections: it shares one connection among all commands (ControlMaster), knows jump
hosts, agents and hardware keys, checks host keys against our pinned ones and nothing else, and is what rsync uses too.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from gpurig import access, reach
from gpurig.errors import RigError
from gpurig.host import Endpoint, Host
from gpurig.stack import Stack

SSH_FAILED = 255
"""What ssh exits with where ssh itself failed, not the command."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where commands for a host run: on its machine that holds environments and runs. alias: its name for ssh."""

    stack: Stack
    host: Host

    @property
    def alias(self) -> str:
        return self.host.work()[0]

    @property
    def endpoint(self) -> Endpoint:
        return self.host.work()[1]

    def ssh(self, *options: str) -> list[str]:
        """The beginning of an ssh command line; append the remote command."""
        return access.ssh(self.stack, self.alias, *options)

    def shell(self) -> str:
        """The same without a host, as rsync's --rsh takes it."""
        return shlex.join(access.ssh(self.stack, self.alias)[:-1])

    def run(self, *words: str, data: bytes = b"") -> bytes:
        """Run one command, given as its words, and return its output. Raises RigError in the user's terms."""
        command = [*self.ssh(), shlex.join(words)]
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        if done.returncode:
            raise self.problem(done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout

    def reach(self) -> None:
        """Open the shared connection. Raises UnreachableError that says why it cannot be."""
        self.run("true")

    def problem(self, code: int, stderr: str) -> RigError:
        """What a failed command means for the user."""
        last = stderr.strip().splitlines()[-1] if stderr.strip() else f"exit code {code}"
        if code == SSH_FAILED:
            if self.endpoint.jump is not None:  # a shared connection does not say what broke on the way to it
                try:
                    reach.check(self.stack, self.host, self.alias, access.config_file(self.stack))
                except reach.UnreachableError as error:
                    return error
            return reach.explained(self.stack, self.host, self.host.name, self.endpoint, stderr)
        if "No space left on device" in stderr or "Disk quota exceeded" in stderr:
            return RigError(disk_full(self.host.name))
        if "python3" in last and "not found" in last:
            return RigError(f"{self.host.name}: has no Python 3, which Ansible needs too; install it there.")
        return RigError(f"{self.host.name}: {last}")


def disk_full(host: str) -> str:
    """The message for a host without room."""
    return (
        f"{host}: its disk is full. See what takes it with `rig connect {host} -- 'df -h; du -xh ~ | sort -h | tail'`, "
        "make room, and run this again: it goes on where it stopped."
    )


def split(words: Sequence[str]) -> str:
    """A remote command line: one word is a line for the shell there, several are taken as they are."""
    return words[0] if len(words) == 1 else shlex.join(words)
