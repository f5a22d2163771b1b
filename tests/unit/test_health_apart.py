"""Work in processes of its own: what it told is kept, whatever becomes of it, and nothing outlives the probe."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gpurig.health.probes import apart


def test_what_was_told_before_an_exception_is_kept() -> None:
    def work(tell: apart.Tell) -> None:
        tell(step="dividing", half=0.5)
        raise ZeroDivisionError("by nothing")

    found = apart.alone(work, 30)
    assert (found["half"], found["step"], found["problem"]) == (0.5, "dividing", "by nothing")


def test_one_that_fails_ends_those_that_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "GRACE", 0.2)
    start = time.monotonic()
    failing, waiting = apart.together([lambda tell: tell(x=1 // 0), lambda tell: time.sleep(60)], 60, joined=True)
    assert time.monotonic() - start < 20
    assert failing["problem"].startswith("integer division")
    assert waiting["problem"].startswith("it waited in vain")


def test_they_end_with_the_probe(tmp_path: Path) -> None:
    text = "def work(tell):\n    open('pid', 'w').write(str(os.getpid()))\n    time.sleep(60)\n"
    source = f"{Path(apart.__file__).read_text()}\n{text}\nalone(work, 60)\n"
    probe = subprocess.Popen([sys.executable, "-c", source], cwd=tmp_path)
    pid = tmp_path / "pid"
    until = time.monotonic() + 20
    while not (pid.exists() and pid.read_text()) and time.monotonic() < until:
        time.sleep(0.05)
    process = Path(f"/proc/{pid.read_text()}")
    assert process.exists()
    probe.kill()
    probe.wait()
    while process.exists() and "Z" not in _state(process) and time.monotonic() < until:
        time.sleep(0.05)
    assert _state(process) in ("", "Z")


def test_they_run_at_the_same_time(tmp_path: Path) -> None:
    """Each waits until all have begun."""

    def work(tell: apart.Tell) -> None:
        tell(pid=os.getpid())
        (tmp_path / str(os.getpid())).touch()
        while len(list(tmp_path.iterdir())) < 8:
            time.sleep(0.05)

    found = apart.together([work] * 8, 30)
    assert len({one["pid"] for one in found}) == 8
    assert {one["problem"] for one in found} == {""}


def _state(process: Path) -> str:
    """R, S, Z …; empty where there is no such process any more."""
    with suppress(OSError):
        return (process / "stat").read_text().rpartition(")")[2].split()[0]
    return ""
