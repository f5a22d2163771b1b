"""What this machine needs to run containers as hosts."""

from __future__ import annotations

from collections.abc import Iterator

from gpurig import catalogue
from gpurig.doctor import Finding, Level, machine
from gpurig.errors import RigError
from gpurig.providers.container.client import Podman
from gpurig.stack import home


def examine(*, needed: bool) -> Iterator[Finding]:
    """Podman, the host image, and whether a container starts. What is missing is a failure only where it is needed."""
    missing: Level = "FAIL" if needed else "WARN"
    program = machine.program("podman", "--version")
    if program.level != "OK":
        yield Finding(missing, "podman", "missing", "`make setup` installs it; hosts with provider container need it.")
        return
    yield program
    podman = Podman(home() / "containers.conf")
    tag = machine.first_line(str(catalogue.ROOT / "scripts" / "host-image.sh"), "--tag")
    try:
        podman.run("image", "exists", tag)
    except RigError:
        yield Finding("WARN", "host image", f"{tag} is not built yet", "`rig up` builds it, in about half a minute.")
        return
    yield Finding("OK", "host image", tag)
    try:
        podman.run("run", "--rm", "--pull=never", "--network=none", tag, "true")
    except RigError as error:
        yield Finding(
            missing, "containers", str(error), "`make setup` writes settings that work where the defaults do not."
        )
        return
    yield Finding("OK", "containers", "Podman can start one")
