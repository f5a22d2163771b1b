"""Everything that gpurig needs on this machine."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from gpurig import access, catalogue
from gpurig.doctor import Finding, Level
from gpurig.errors import RigError
from gpurig.stack import Stack, home

if TYPE_CHECKING:
    from gpurig.config import StackConfig

RSYNC = (3, 2)
"""The oldest rsync that knows the options we use."""

LOW_DISK, NO_DISK = 10e9, 1e9
"""Bytes free below which the disk is worth a warning, and below which little works."""


def examine(stack: Stack | None, read: Callable[[Stack], StackConfig]) -> Iterator[Finding]:
    """Look at one thing after the other; without a stack, at all that any stack may need. `read` gives its configuration."""
    uses_containers = True
    if stack:
        finding, uses_containers = _configuration(stack, read)
        yield finding
    yield Finding("OK", "Python", f"{'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})")
    yield _program("uv", "--version", where=catalogue.ROOT / ".tools" / "uv" / "bin")
    yield _packages()
    yield _mitogen()
    yield _pulumi()
    yield from _podman("FAIL" if uses_containers else "WARN")
    yield _program("ssh", "-V")
    yield _rsync()
    yield _home()
    yield _include()
    for what, folder in (("disk of GPURIG_HOME", home()), ("disk of gpurig", catalogue.ROOT)):
        yield _disk(what, folder)


def _configuration(stack: Stack, read: Callable[[Stack], StackConfig]) -> tuple[Finding, bool]:
    """The stack's file, and whether containers are among its hosts."""
    from gpurig import records

    try:
        hosts = read(stack).hosts
    except RigError as error:
        return Finding("FAIL", "configuration", str(error), "Correct the file."), True
    interrupted = records.intents(stack)
    containers = any(spec.provider == "container" for spec in hosts.values())
    if interrupted:
        found = f"an interrupted `rig up` left {', '.join(interrupted)}"
        return Finding("WARN", "configuration", found, "`rig up` goes on, `rig down` ends it."), containers
    return Finding("OK", "configuration", f"{stack.file.name}: {len(hosts)} hosts"), containers


def _program(name: str, option: str, *, where: Path | None = None) -> Finding:
    found = (where and shutil.which(name, path=str(where))) or shutil.which(name)
    if not found:
        return Finding("FAIL", name, "missing", "`make setup` installs it.")
    return Finding("OK", name, f"{_first_line(found, option)} ({found})")


def _packages() -> Finding:
    """The Python packages against the lock; what is installed beside it does not matter."""
    from packaging.markers import default_environment

    from gpurig import lockfile

    lock = (catalogue.ROOT / "requirements.lock").read_text(encoding="utf-8")
    wanted = lockfile.pins(lock, {name: str(value) for name, value in default_environment().items()})
    installed = {package.name: package.version for package in metadata.distributions()}
    found = lockfile.compare(wanted, {name: version for name, version in installed.items() if name})
    wrong = [*found.missing, *found.other]
    if wrong:
        shown = "; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if wrong[3:] else "")
        return Finding(
            "FAIL", "Python packages", f"not as in requirements.lock: {shown}", "`make setup` repairs .venv."
        )
    return Finding(
        "OK", "Python packages", f"{len(wanted)} as in requirements.lock; ansible-core {installed['ansible-core']}"
    )


def _mitogen() -> Finding:
    if os.environ.get("GPURIG_STRATEGY") == "linear":
        return Finding("WARN", "Mitogen", "switched off by GPURIG_STRATEGY=linear", "Unset it for quick playbooks.")
    try:
        return Finding("OK", "Mitogen", metadata.version("mitogen"))
    except metadata.PackageNotFoundError:
        return Finding("WARN", "Mitogen", "missing, so playbooks are slower", "`make setup` installs it.")


def _pulumi() -> Finding:
    from gpurig import pulumi_cli

    try:
        found = pulumi_cli.find()
    except RigError as error:
        return Finding("FAIL", "engine", str(error))
    if found is None:
        return Finding(
            "OK", "engine", "embedded, since Pulumi's CLI is not found", "`make setup-pulumi` tries to get it."
        )
    return Finding("OK", "engine", f"Pulumi {_first_line(str(found), 'version')} ({found})")


def _podman(missing: Level) -> Iterator[Finding]:
    from gpurig.providers.container.client import Podman

    program = _program("podman", "--version")
    if program.level != "OK":
        yield Finding(missing, "podman", "missing", "`make setup` installs it; hosts with provider container need it.")
        return
    yield program
    podman = Podman(home() / "containers.conf")
    tag = _first_line(str(catalogue.ROOT / "scripts" / "host-image.sh"), "--tag")
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


def _rsync() -> Finding:
    finding = _program("rsync", "--version")
    version = re.search(r"version v?(\d+)\.(\d+)", finding.found)
    if finding.level == "OK" and (version is None or (int(version[1]), int(version[2])) < RSYNC):
        return Finding("FAIL", "rsync", finding.found, "3.2 or later is needed; on macOS: `brew install rsync`.")
    return finding


def _home() -> Finding:
    folder = home()
    about = folder.stat()
    if about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o077:
        found = f"{folder} can be read by others ({stat.filemode(about.st_mode)})"
        return Finding("FAIL", "GPURIG_HOME", found, f"`chmod 700 '{folder}'`: keys and tokens lie there.")
    return Finding("OK", "GPURIG_HOME", str(folder))


def _include() -> Finding:
    if access.is_included(home()):
        return Finding("OK", "ssh include", f"{access.user_config()} has our line, so `ssh HOST` works")
    return Finding("WARN", "ssh include", f"{access.user_config()} lacks our line", "`rig ssh-config` adds it.")


def _disk(what: str, folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    level: Level = "FAIL" if free < NO_DISK else "WARN" if free < LOW_DISK else "OK"
    advice = "" if level == "OK" else "Make room; `podman system df` shows what images and containers take."
    return Finding(level, what, f"{free / 1e9:.0f} GB free", advice)


def _first_line(program: str, option: str) -> str:
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([program, option], capture_output=True, text=True, check=False, timeout=30)
        lines = (done.stdout or done.stderr).strip().splitlines()
        return lines[0] if lines else "?"
    return "?"
