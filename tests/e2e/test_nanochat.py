"""nanochat's own code, from a clone: its smoke test really trains.

Skipped where no clone is named: the repository is on GitHub, and the index of the PyTorch in its lock (2.9.1) is not
reached from everywhere, so a newer PyTorch of the usual index stands in for it here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gpurig import catalogue

CLONE = os.environ.get("GPURIG_NANOCHAT", "")

PACKAGES = (
    "torch==2.13.0", "filelock", "kernels", "numpy", "psutil", "pyarrow", "rustbpe", "tiktoken", "wandb", "requests",
)  # fmt: skip


@pytest.mark.skipif(not CLONE, reason="nanochat's repository is not here: name a clone at 92d63d4 in GPURIG_NANOCHAT")
@pytest.mark.timeout(900)
def test_tokenizer_training_resume_and_sampling_work(tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", "3.11", tmp_path / "venv"], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", tmp_path / "venv", *PACKAGES], check=True)
    smoke = catalogue.ROOT / "environments/nanochat/smoke.py"
    done = subprocess.run(
        [tmp_path / "venv/bin/python", "-B", smoke],
        env={**os.environ, "NANOCHAT_SOURCE": CLONE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["loss"] < 0.9 * found["first_loss"]
    assert found["samples"] > 0
