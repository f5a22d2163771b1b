"""Work that may hang on a broken GPU: in processes of their own, under a time limit, left behind if they cannot be killed."""

from __future__ import annotations

import ctypes
import json
import os
import select
import time
from contextlib import suppress
from signal import SIGKILL
from typing import Any, Callable, Sequence  # noqa: UP035 (Python 3.8)

Tell = Callable[..., None]
Work = Callable[[Tell], None]

SILENT = "no answer within"
"""How `problem` begins where there was none."""

IN_VAIN = "it waited in vain for another that failed"

GRACE = 5.0
"""Seconds that the others get once one of those that need each other has failed."""

REAP_SECONDS = 1.0

DIE_WITH_PARENT = 1
"""prctl's PR_SET_PDEATHSIG."""


def alone(work: Work, seconds: float) -> dict[str, Any]:
    """As `together`, with one work."""
    return together([work], seconds)[0]


def together(works: Sequence[Work], seconds: float, *, joined: bool = False) -> list[dict[str, Any]]:
    """What each work tells, all of them at once.

    A work calls `tell(key=value, …)` as it goes: a later value replaces an earlier one, and `step` names what it is about
    to do. What was told before a hang, a crash or an exception is kept; then `problem` says what happened and at which
    step, and `code` is the exception's, where it has one. problem is empty where all went well.
    joined: none of them can go on without the others, as in a collective operation.
    """
    running = [_start(work) for work in works]
    deadline = time.monotonic() + seconds
    open_pipes = {child.pipe: child for child in running}
    while open_pipes:
        left = deadline - time.monotonic()
        ready = select.select(list(open_pipes), [], [], max(left, 0))[0] if left > 0 else []
        if not ready:
            break
        for pipe in ready:
            child = open_pipes[pipe]
            if not child.read():
                del open_pipes[pipe]
                child.end()
                if joined and child.found["problem"]:
                    deadline = min(deadline, time.monotonic() + GRACE)
    failed = joined and any(child.found["problem"] for child in running)
    why = IN_VAIN if failed else f"{SILENT} {seconds:g} s"
    for child in open_pipes.values():
        child.kill(why)
    return [child.found for child in running]


class _Child:
    def __init__(self, process: int, pipe: int) -> None:
        self.process, self.pipe, self.text = process, pipe, b""
        self.found: dict[str, Any] = {"problem": None, "code": 0, "step": "start"}

    def read(self) -> bool:
        """Take in what it tells. False at its end."""
        part = os.read(self.pipe, 1 << 16)
        *lines, self.text = (self.text + part).split(b"\n")
        for line in lines:
            self.found.update(json.loads(line))
        return bool(part)

    def end(self) -> None:
        status = self._reap()
        if self.found["problem"] is None:  # it went without a word
            how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "no message"
            self.found["problem"] = f"it crashed at {self.found['step']} ({how})"
        os.close(self.pipe)

    def kill(self, why: str) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process, SIGKILL)
        self._reap()
        if self.found["problem"] is None:
            self.found["problem"] = f"{why}, at {self.found['step']}"
        os.close(self.pipe)

    def _reap(self) -> int:
        """Its status; 0 where it cannot be ended, as with a driver that hangs."""
        until = time.monotonic() + REAP_SECONDS
        while time.monotonic() < until:
            with suppress(ChildProcessError):
                process, status = os.waitpid(self.process, os.WNOHANG)
                if process:
                    return status
            time.sleep(0.01)
        return 0


def _start(work: Work) -> _Child:
    reader, writer = os.pipe()
    process = os.fork()
    if process:
        os.close(writer)
        return _Child(process, reader)
    try:
        os.setsid()  # so that it can be killed together with what it starts
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, SIGKILL)  # a broken connection ends a burn too
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):  # left behind, it must not hold the connection
            os.dup2(nothing, number)
        _work(work, writer)
    finally:
        os._exit(0)


def _work(work: Work, writer: int) -> None:
    def tell(**found: Any) -> None:
        line = json.dumps(found).encode() + b"\n"
        while line:
            line = line[os.write(writer, line) :]

    try:
        work(tell)
    except Exception as error:  # noqa: BLE001 (whatever a broken machine makes of it is a finding)
        tell(problem=" ".join(str(error).split())[:500] or type(error).__name__, code=getattr(error, "code", 0))
    else:
        tell(problem="", step="")
