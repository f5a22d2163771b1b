"""Runs a folder of checks in a process of its own, and takes their verdicts as they come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from gpurig.stack import Stack
from gpurig.verdict import Result

RAN = (0, 1, 5)
"""pytest's exit codes when it ran to its end: all passed, some failed, there were none."""


class Problem(NamedTuple):
    """Why checks did not run to their end: what was seen, and what that means."""

    value: str
    meaning: str


def run(
    folder: Path, host: str, stack: Stack, options: Iterable[str], *, take: Callable[[Result], None], limit: float
) -> Problem | None:
    """Run pytest on a host, with these options of the folder's own, for so many seconds at most.

    Each verdict comes through a pipe as soon as it is known, and so is kept whatever happens then.
    """
    receiving, sending = os.pipe()
    command = [sys.executable, "-m", "pytest", str(folder), f"--config-file={folder / 'pytest.ini'}"]
    command += ["-p", "pytest11.testinfra", f"--hosts={host}", f"--verdicts=/dev/fd/{sending}", *options]
    count, given_up = 0, threading.Event()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output, os.fdopen(receiving) as verdicts:
        try:
            process = subprocess.Popen(
                command,
                cwd=stack.root,
                env=_environment(stack),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(sending,),
            )
        finally:
            os.close(sending)

        def give_up() -> None:
            given_up.set()
            process.kill()

        timer = threading.Timer(limit, give_up)
        timer.start()
        try:
            for line in verdicts:
                if line.endswith("\n"):  # not one that was cut off in the middle
                    take(Result.from_dict(json.loads(line)))
                    count += 1
            process.wait()
        finally:
            timer.cancel()
            process.kill()
            process.wait()
        output.seek(0)
        tail = " | ".join(output.read().strip().splitlines()[-8:])
    if given_up.is_set():
        return Problem(f"given up after {limit:.0f} s", "What is not listed here was not checked.")
    if process.returncode not in RAN:
        return Problem(tail, "The checks could not run to their end.")
    return None if count else Problem("no check ran", "Nothing is known about this host.")


def _environment(stack: Stack) -> dict[str, str]:
    """What pytest needs to know, and nothing that a developer set for his own tests."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return {
        **kept,
        "GPURIG_HOME": str(stack.home),
        "GPURIG_STACK": stack.name,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
