"""Programs of a host, each run under a time limit, and left behind if it cannot be killed."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable  # noqa: UP035 (Python 3.8)


def run(command: list[str], seconds: float) -> dict[str, Any]:
    """What a program said: code of its exit, None where it could not be run or gave no answer in time; out, err, seconds."""
    start, pipe = time.monotonic(), subprocess.PIPE
    environment = dict(os.environ, LC_ALL="C")

    def outcome(code: int | None, out: str, err: str) -> dict[str, Any]:
        return {"code": code, "out": out, "err": err, "seconds": round(time.monotonic() - start, 3)}

    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
        )
    except OSError as error:
        return outcome(None, "", f"{Path(command[0]).name} cannot be run: {error.strerror}")
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return outcome(None, "", f"{Path(command[0]).name} gave no answer within {seconds:g} s")
    return outcome(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))


def together(works: dict[str, Callable[[], Any]], found: dict[str, Any]) -> None:
    """Do all of these at once, and put what each returns under its name."""

    def work(name: str) -> None:
        found[name] = works[name]()

    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
