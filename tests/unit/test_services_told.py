"""What a host says about its services; systemd and supervisor are stand-ins that print what the real ones print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gpurig import far_services

SHOWN = """
case "$2" in
gpurig-jupyter) printf 'LoadState=loaded\\nActiveState=active\\nMainPID={pid}\\n' ;;
gpurig-api) printf 'LoadState=loaded\\nActiveState=activating\\nMainPID=0\\n' ;;
gpurig-mlflow) printf 'LoadState=loaded\\nActiveState=inactive\\nMainPID=0\\n' ;;
*) printf 'LoadState=not-found\\nActiveState=inactive\\nMainPID=0\\n' ;;
esac
"""

SUPERVISED = """
case "$2" in
gpurig-jupyter) echo 'gpurig-jupyter                   RUNNING   pid {pid}, uptime 0:02:10' ;;
gpurig-api) echo 'gpurig-api                       BACKOFF   Exited too quickly (process log may have details)' ;;
gpurig-mlflow) echo 'gpurig-mlflow                    STOPPED   Nov 22 12:00 PM' ;;
*) echo 'gpurig-x: ERROR (no such process)'; exit 4 ;;
esac
"""

LOG = "i=0; while [ $i -lt 9 ]; do i=$((i + 1)); echo line $i; done"


def told(folder: Path, names: list[str], lines: int, *, systemd: bool) -> dict[str, Any]:
    """What the program says where these stand-ins come first."""
    for name, text in {"systemctl": SHOWN, "supervisorctl": SUPERVISED, "journalctl": LOG}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text.replace('{pid}', str(os.getpid()))}")
        (folder / name).chmod(0o755)
    asked = json.dumps({"names": names, "lines": lines, "systemd": systemd})
    program = Path(far_services.__file__).read_text(encoding="utf-8")
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, asked], env={"PATH": path}, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("systemd", [True, False])
def test_states_are_told_in_the_same_words_whatever_runs_services(tmp_path: Path, *, systemd: bool) -> None:
    found = told(tmp_path, ["jupyter", "api", "mlflow", "rpc"], 2, systemd=systemd)
    assert {name: facts["state"] for name, facts in found.items()} == {
        "jupyter": "running",
        "api": "starts again",
        "mlflow": "stopped",
        "rpc": "not installed",
    }


def test_memory_and_start_are_those_of_the_process_and_its_children(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "x = bytes(50_000_000); input()"], stdin=subprocess.PIPE) as child:
        time.sleep(1)
        found = told(tmp_path, ["jupyter", "api"], 0, systemd=True)
        child.communicate(b"\n")
    assert found["jupyter"]["memory"] > 60_000_000
    assert time.time() - 3600 * 24 < found["jupyter"]["since"] <= time.time()
    assert (found["api"]["memory"], found["api"]["since"]) == (None, None)


def test_as_much_of_the_log_as_was_asked_for(tmp_path: Path) -> None:
    assert told(tmp_path, ["jupyter"], 2, systemd=True)["jupyter"]["log"] == ["line 8", "line 9"]
    assert told(tmp_path, ["jupyter"], 0, systemd=True)["jupyter"]["log"] == []
