"""An image build that is cut off leaves nothing that a later one could take for an image."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from gpurig.catalogue import ROOT

SCRIPT = ROOT / "scripts" / "host-image.sh"


def test_an_interrupted_build_leaves_no_image_and_no_files(tmp_path: Path) -> None:
    slow = tmp_path / "bin" / "mmdebstrap"
    slow.parent.mkdir()
    slow.write_text('#!/bin/sh\necho half\ntouch "$STARTED"\nsleep 60\n')
    slow.chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {
        **os.environ,
        "GPURIG_IMAGE_RELEASE": f"none-{os.getpid()}",
        "PATH": f"{slow.parent}:{os.environ['PATH']}",
        "STARTED": str(tmp_path / "started"),
        "TMPDIR": str(scratch),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    name = subprocess.run([SCRIPT, "--tag"], env=environment, capture_output=True, text=True, check=True).stdout.strip()
    command = ["env", "--default-signal=INT", str(SCRIPT)]
    build = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "started").exists():
        assert build.poll() is None, "it ended before it was interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(build.pid, signal.SIGINT)
    assert build.wait(timeout=60) != 0
    assert subprocess.run(["podman", "image", "exists", name], check=False).returncode == 1
    assert list(scratch.iterdir()) == []
