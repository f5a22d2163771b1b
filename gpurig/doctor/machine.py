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
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gpurig import access, catalogue, providers
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
    used = set(providers.REGISTRY)
    if stack:
        finding, used = _configuration(stack, read)
        yield finding
    yield Finding("OK", "Python", f"{'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})")
    yield program("uv", "--version", where=catalogue.ROOT / ".tools" / "uv" / "bin")
    yield _packages()
    yield _mitogen()
    yield _pulumi()
    for name, package in providers.REGISTRY.items():
        if find_spec(f"{package}.doctor"):
            yield from import_module(f"{package}.doctor").examine(needed=name in used)
    yield program("ssh", "-V")
    yield rsync()
    yield _home()
    yield _include()
    for what, folder in (("disk of GPURIG_HOME", home()), ("disk of gpurig", catalogue.ROOT)):
        yield _disk(what, folder)


def program(name: str, option: str, *, where: Path | None = None) -> Finding:
    """Whether a program is there, and which version."""
    found = (where and shutil.which(name, path=str(where))) or shutil.which(name)
    if not found:
        return Finding("FAIL", name, "missing", "`make setup` installs it.")
    return Finding("OK", name, f"{first_line(found, option)} ({found})")


def first_line(program: str, option: str) -> str:
    """The first line of what a program says; `?` where it says nothing."""
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([program, option], capture_output=True, text=True, check=False, timeout=30)
        lines = (done.stdout or done.stderr).strip().splitlines()
        return lines[0] if lines else "?"
    return "?"


def rsync() -> Finding:
    """Whether rsync is there and knows the options that we use."""
    finding = program("rsync", "--version")
    version = re.search(r"version v?(\d+)\.(\d+)", finding.found)
    if finding.level == "OK" and (version is None or (int(version[1]), int(version[2])) < RSYNC):
        return Finding("FAIL", "rsync", finding.found, "3.2 or later is needed; on macOS: `brew install rsync`.")
    return finding


def _configuration(stack: Stack, read: Callable[[Stack], StackConfig]) -> tuple[Finding, set[str]]:
    """The stack's file, and the providers that it uses."""
    from gpurig import records

    try:
        hosts = read(stack).hosts
    except RigError as error:
        return Finding("FAIL", "configuration", str(error), "Correct the file."), set(providers.REGISTRY)
    used = {spec.provider for spec in hosts.values()}
    interrupted = records.intents(stack)
    if interrupted:
        found = f"an interrupted `rig up` left {', '.join(interrupted)}"
        return Finding("WARN", "configuration", found, "`rig up` goes on, `rig down` ends it."), used
    return Finding("OK", "configuration", f"{stack.file.name}: {len(hosts)} hosts"), used


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
    return Finding("OK", "engine", f"Pulumi {first_line(str(found), 'version')} ({found})")


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
