"""`rig doctor home` over real connections: a real sshd before the simulated Windows, a real Linux in the place of WSL."""

from __future__ import annotations

import time

from gpurig import records
from gpurig.windows import variables
from tests.windows.home import Home
from tests.windows.model import clock
from tests.windows.model.healthy import TOPICS
from tests.windows.rounds import converge

GOAL = 10.0
"""Seconds."""


def test_from_nothing_installed_to_well_and_broken_again(fresh_home: Home) -> None:
    fresh_home.rig("up")
    bare = fresh_home.rig("doctor", "home", check=False)
    assert bare.returncode == 1, bare.stdout
    assert "FAIL  WSL: WSL is not installed" in bare.stdout
    host = records.require(fresh_home.project.stack(), "home")
    given = {**variables.of_host(fresh_home.project.stack(), host)}
    for topic in TOPICS:
        converge(fresh_home.machine, topic, given)
    clock.advance(fresh_home.machine, 3)
    rounds = fresh_home.pc.rounds
    began = time.monotonic()
    well = fresh_home.rig("doctor", "home", check=False)
    seconds = time.monotonic() - began
    assert "OK    WSL sshd: the host key is the pinned one; keys only" in well.stdout, well.stdout + well.stderr
    assert fresh_home.pc.rounds == rounds + 1
    assert seconds < GOAL
    fresh_home.linux.containers.run(fresh_home.linux.container, "systemctl stop ssh.service")
    broken = fresh_home.rig("doctor", "home", check=False)
    assert "failure 19, the sshd inside WSL does not serve: ssh.service does not run" in broken.stdout, broken.stdout
    mended = fresh_home.rig("doctor", "home", "--fix", "--yes", check=False)
    assert "Mended: failure 19" in mended.stderr, mended.stdout + mended.stderr
