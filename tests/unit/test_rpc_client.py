"""The RPC example for a laptop, where the host does not answer, and what it says of mistakes. NumPy is not here, so a stand-in stands for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
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

ARRAYS = '''
"""Stands in for NumPy: an array is bytes with a type, and a header is a line."""

import sys
from types import SimpleNamespace


class array(bytearray):
    dtype = SimpleNamespace(hasobject=False)
    size = property(len)


def objects():
    found = array(b"x")
    found.dtype = SimpleNamespace(hasobject=True)
    return found


def asarray(one, order):
    return one


def empty(shape, dtype):
    return array(shape)


class format:
    header_data_from_array_1_0 = len

    def write_array_header_2_0(stream, length):
        stream.write(b"%d\\n" % length)

    def read_magic(stream):
        return 2, 0

    def read_array_header_2_0(stream):
        return int(stream.readline()), False, array.dtype


ndarray = array
sys.modules["numpy.lib"] = SimpleNamespace(format=format)
'''

FAR = """
import sys
import frames

while frame := frames.read(sys.stdin.buffer):
    head, arrays = frame
    if head["call"] == "hang":
        import time

        time.sleep(60)
    frames.write(sys.stdout.buffer, {}, arrays)
"""


@pytest.fixture
def session(tmp_path: Path) -> Callable[[str], list[str]]:
    """Runs lines of a user's program, with `gpu` as the connection to a far end that returns what it gets."""

    def run(text: str) -> list[str]:
        (tmp_path / "numpy.py").write_text(ARRAYS)
        (tmp_path / "far.py").write_text(FAR)
        places = (tmp_path, CLIENT.parent, catalogue.ROOT / "roles/services/files/rpc")
        lines = [
            "import sys, numpy as np",
            "from remote import Remote, RemoteError",
            f"gpu = Remote(command=[sys.executable, {str(tmp_path / 'far.py')!r}])",
            *text.splitlines(),
        ]
        done = subprocess.run(
            [sys.executable, "-c", "\n".join(lines)],
            env={"PYTHONPATH": os.pathsep.join(map(str, places))},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


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


@pytest.mark.parametrize("calls", ["abc", "1", "-3", "2.5"])
def test_calls_that_are_no_number_are_refused(calls: str, tmp_path: Path) -> None:
    assert said(tmp_path, "home", calls) == f"CALLS: found {calls!r}: write a whole number, 2 or more."


def test_one_result_is_an_array_and_several_are_a_list(session: Callable[[str], list[str]]) -> None:
    text = """
print(gpu.call("echo", np.array(b"one")) == b"one")
print(gpu.call("echo", np.array(b"one"), np.array(b"two")) == [b"one", b"two"])
print(gpu.call("echo"))
"""
    assert session(text) == ["True", "True", "[]"]


@pytest.mark.parametrize(
    ("call", "refused"),
    [
        ('gpu.call("echo", np.array(b"a"), np.objects())', "an array of Python objects would be a pickle"),
        ('gpu.call("echo", *[np.array(b"a")] * 65)', "65 arrays are too many"),
        ('gpu.call("echo", option={1, 2})', "an option cannot be sent"),
        ('gpu.call("echo", option="x" * 70_000)', "the options are too long"),
    ],
)
def test_what_cannot_be_sent_leaves_the_connection_as_it_was(
    call: str, refused: str, session: Callable[[str], list[str]]
) -> None:
    text = f"""
try:
    {call}
except ValueError as error:
    print(error)
print(gpu.call("echo", np.array(b"next")) == b"next")
"""
    said, after = session(text)
    assert said.startswith(refused)
    assert after == "True"


def test_a_connection_that_was_closed_is_an_error_of_its_own(session: Callable[[str], list[str]]) -> None:
    text = """
with gpu:
    pass
try:
    gpu.call("echo")
except RemoteError as error:
    print(error)
"""
    assert session(text) == ["the connection was closed; make another one"]


def test_an_interrupted_call_s_answer_is_never_taken_for_another_s(session: Callable[[str], list[str]]) -> None:
    text = """
import signal
signal.signal(signal.SIGALRM, signal.default_int_handler)  # as Ctrl-C
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    gpu.call("hang")
except KeyboardInterrupt:
    print("interrupted")
try:
    gpu.call("echo")
except RemoteError as error:
    print(error)
"""
    assert session(text) == ["interrupted", "the connection was closed; make another one"]


def test_whoever_has_no_rig_is_told_where_it_is(tmp_path: Path) -> None:
    assert said(tmp_path, "home").startswith("home: there is no command 'rig' here; run `export PATH=")


def test_whoever_names_no_host_is_told_how(tmp_path: Path) -> None:
    assert said(tmp_path).startswith("Which host? Write `uv run examples/rpc/client.py HOST`")


def test_uv_can_read_what_the_client_needs() -> None:
    (block,) = re.findall(r"^# /// script\n((?:# .*\n)+)# ///$", CLIENT.read_text(), re.MULTILINE)
    assert tomllib.loads(block.replace("# ", ""))["dependencies"] == ["numpy>=2"]
