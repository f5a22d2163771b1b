"""WSL is updated under a run, over real connections: the run is lost, and what it left comes back; a real Linux in WSL's place."""

from __future__ import annotations

import time

import pytest

from gpurig import records, runs
from gpurig.windows import variables
from tests.windows.home import Home
from tests.windows.model import clock
from tests.windows.model.faults import FAULTS
from tests.windows.model.healthy import TOPICS
from tests.windows.rounds import converge

pytestmark = pytest.mark.timeout(600)

JOB = """\
import os, pathlib, time
pathlib.Path(os.environ["GPURIG_RESULTS"], "checkpoint").write_text("epoch 3")
print("epoch 3", flush=True)
time.sleep(600)
"""


def test_a_run_that_an_update_ended_is_lost_and_what_it_left_comes_back(fresh_home: Home) -> None:
    fresh_home.rig("up")
    stack = fresh_home.project.stack()
    given = {**variables.of_host(stack, records.require(stack, "home"))}
    for topic in TOPICS:
        converge(fresh_home.machine, topic, given)
    clock.advance(fresh_home.machine, 3)
    (fresh_home.project.root / "job.py").write_text(JOB, encoding="utf-8")
    name = fresh_home.rig("train", "--detach", "--env", "system", "home", "job.py").stdout.strip()
    for _ in range(50):
        if "epoch 3" in fresh_home.rig("logs", "home").stdout:
            break
        time.sleep(0.2)
    FAULTS[10].breaks(fresh_home.machine)
    clock.advance(fresh_home.machine, 3)  # the keeper looks
    said = fresh_home.rig("runs", "home", "--check").stdout
    assert name in said
    assert "lost" in said
    fresh_home.rig("results", "home")
    left = runs.folder(stack, "home", name) / "results" / "checkpoint"
    assert left.read_text(encoding="utf-8") == "epoch 3"
