"""`rig open` with a simulated ssh: its tunnel ends with it, whatever asks it to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpurig import keys, records
from gpurig.stack import Stack
from tests.unit.far import host

SSH = f"""#!{sys.executable}
# Simulated: connects to nothing; what it forwards is answered here. It takes a moment to end.
import os, signal, socket, sys, time

def end(*_):
    time.sleep(0.5)
    os.unlink({{stands!r}})
    sys.exit(255)

if "-N" in sys.argv:
    signal.signal(signal.SIGTERM, end)
    open({{stands!r}}, "w").close()
    address, port, *_ = sys.argv[sys.argv.index("-L") + 1].split(":")
    with socket.create_server((address, int(port))) as server:
        while True:
            connection = server.accept()[0]
            connection.settimeout(5)
            if connection.recv(4096):
                connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
            connection.close()
"""


@pytest.fixture
def stands(tmp_path: Path) -> Path:
    """There while the tunnel stands."""
    return tmp_path / "stands"


@pytest.fixture
def opened(stack: Stack, tmp_path: Path, stands: Path) -> Iterator[subprocess.Popen[str]]:
    """`rig open`, as soon as the tunnel stands."""
    (tmp_path / "ssh").write_text(SSH.format(stands=str(stands)))
    (tmp_path / "ssh").chmod(0o755)
    stack.file.write_text("config:\n  gpurig:hosts:\n    far: {provider: container, services: [mlflow]}\n")
    (stack.root / "Pulumi.yaml").write_text(f"name: {stack.project}\nruntime: python\n")
    records.save(stack, replace(host(), services=("mlflow",)))
    keys.login_key(stack.home)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "GPURIG_HOME": str(stack.home),
        "GPURIG_STACK": stack.name,
        "GPURIG_ENGINE": "embedded",
    }
    command = [sys.executable, "-m", "gpurig.cli", "open", "mlflow", "far", "--print"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
    try:
        started = subprocess.Popen(
            command, cwd=stack.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with started as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        assert process.stderr.readline() == "The tunnel stands until Ctrl-C.\n"
        assert stands.exists()
        yield process
        process.kill()


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGTERM], 128 + signal.SIGTERM),
        ([signal.SIGHUP], 128 + signal.SIGHUP),
        ([signal.SIGTERM, signal.SIGTERM], 128 + signal.SIGTERM),
        ([signal.SIGHUP, signal.SIGTERM], 128 + signal.SIGHUP),
        ([signal.SIGINT], 0),
    ],
)
def test_a_signal_ends_the_tunnel_and_nothing_is_said(
    opened: subprocess.Popen[str], stands: Path, signals: list[signal.Signals], code: int
) -> None:
    for number in signals:
        opened.send_signal(number)
        time.sleep(0.2)
    opened.wait(timeout=60)
    assert not stands.exists()
    assert opened.stderr
    assert (opened.returncode, opened.stderr.read()) == (code, "")


def test_a_signal_while_python_ends_is_no_traceback() -> None:
    code = (
        "import atexit, os, signal\n"
        "from gpurig.cli import main\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGTERM)\n"
        "main(['--version'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
