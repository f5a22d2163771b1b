"""A simulated host: this machine with another home folder, reached by a program `ssh` that runs what it is given here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gpurig import records
from gpurig.host import Capabilities, Endpoint, Host
from gpurig.remote import Place
from gpurig.stack import Stack
from tests.unit.simulated import HOST_KEY

SSH = """#!/bin/sh
# Takes ssh's options, forgets them, and runs the command in the simulated host's home.
while [ $# -gt 0 ]; do
    case $1 in
        -[FoLO]) shift 2 ;;
        -*) shift ;;
        *) break ;;
    esac
done
shift
echo "$*" >>"{log}"
if [ -s "{broken}" ]; then
    read -r message <"{broken}"
    : >"{broken}"
    echo "$message" >&2
    exit 255
fi
export HOME="{home}"
cd "$HOME"
exec sh -c "$*"
"""


@dataclass(frozen=True)
class FarAway:
    """The simulated host. place: as commands see it; home: its home folder; broken: what ssh says the next time."""

    place: Place
    home: Path
    broken: Path
    log: Path

    def breaks(self, message: str) -> None:
        """Let the next connection fail like this."""
        self.broken.write_text(message + "\n")

    def commands(self) -> list[str]:
        """What was run there so far."""
        return self.log.read_text().splitlines()


def host(name: str = "far", *, label: str = "gpurig.unit.test.far.1", environments: tuple[str, ...] = ()) -> Host:
    """A record of a host that nobody made."""
    return Host(
        name=name,
        project="unit",
        stack="test",
        provider="memory",
        id=f"id-{name}",
        label=label,
        generation=1,
        endpoint=Endpoint(address="192.0.2.1", port=22, user="root", host_key=HOST_KEY),
        capabilities=Capabilities(init="none", kernel="shared", privilege="root", can_stop=False),
        environments=environments,
    )


def far_away(stack: Stack, folder: Path) -> FarAway:
    """Make the simulated host and record it; its `ssh` must come first on PATH."""
    home = folder / "far home"
    programs = folder / "bin"
    for made in (home, programs):
        made.mkdir()
    log, broken = folder / "ssh.log", folder / "broken"
    program = programs / "ssh"
    program.write_text(SSH.format(home=home, log=log, broken=broken))
    program.chmod(0o755)
    os.environ["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    record = host()
    records.save(stack, record)
    return FarAway(Place(stack, record), home, broken, log)
