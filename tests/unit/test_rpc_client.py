"""The RPC example for a laptop, where the host does not answer; NumPy is not here, so a stand-in stands for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gpurig import catalogue

CLIENT = catalogue.ROOT / "examples/rpc/client.py"

NUMPY = """
import sys
from unittest.mock import MagicMock

stand_in = MagicMock()
stand_in.asarray.return_value.dtype.hasobject = False
stand_in.asarray.return_value.size = 0
sys.modules["numpy"] = sys.modules["numpy.lib"] = stand_in
"""


def said(folder: Path, *arguments: str) -> str:
    """The only line that the client says before it fails."""
    (folder / "numpy.py").write_text(NUMPY)
    done = subprocess.run(
        [sys.executable, CLIENT, *arguments],
        env={"PATH": "/nowhere", "PYTHONPATH": f"{folder}{os.pathsep}{CLIENT.parent}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("exit 3", "the connection ended (exit code 3); `rig services` in the project's folder shows whether"),
        ("echo nonsense; exec /bin/cat >/dev/null", "the connection ended (exit code 0)"),
        (
            'echo \'{"error": "RuntimeError: too large", "arrays": 0}\'; exec /bin/cat >/dev/null',
            "RuntimeError: too large",
        ),
    ],
)
def test_what_goes_wrong_there_is_one_line_without_a_traceback(command: str, expected: str, tmp_path: Path) -> None:
    assert f": {expected}" in said(tmp_path, json.dumps(["/bin/sh", "-c", command]))


def test_whoever_has_no_rig_is_told_where_it_is(tmp_path: Path) -> None:
    assert said(tmp_path, "home").startswith("home: there is no command 'rig' here; run `export PATH=")


def test_whoever_names_no_host_is_told_how(tmp_path: Path) -> None:
    assert said(tmp_path).startswith("Which host? Write `uv run examples/rpc/client.py HOST`")


def test_uv_can_read_what_the_client_needs() -> None:
    (block,) = re.findall(r"^# /// script\n((?:# .*\n)+)# ///$", CLIENT.read_text(), re.MULTILINE)
    assert tomllib.loads(block.replace("# ", ""))["dependencies"] == ["numpy>=2"]
