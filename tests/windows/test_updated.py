"""WSL is updated while somebody works in it: what ends, what comes back by itself, what is told, and that we never do that."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gpurig.windows import failures, inside, topics
from gpurig.windows.account import running
from tests.windows.model import clock, faults, wsl_vm
from tests.windows.model.faults import FAULTS, linux
from tests.windows.model.healthy import NAME, TOPICS, healthy, variables
from tests.windows.model.pc import Machine
from tests.windows.rounds import look as sections
from tests.windows.test_failures import look

RUN = "run 20261122-0900-train"

CHECKPOINT = "/home/me/gpurig/runs/20261122-0900-train/results/checkpoint"

LOOK_MINUTES = 3
"""Until the keeper that ended with WSL is started again by its trigger, and has looked."""


def works(machine: Machine) -> dict[str, Any]:
    """A run goes on inside, and has left something. Returns the Linux' data."""
    data = linux(machine).data
    assert data is not None
    data["busy"] = [RUN]
    data["files"][CHECKPOINT] = "epoch 3"
    return data


@pytest.fixture
def working() -> Machine:
    machine = healthy()
    works(machine)
    assert inside.facts(look(machine).state["inside"]).busy == (RUN,)
    return machine


def named(machine: Machine) -> set[int]:
    """What the doctor names; its questions start WSL, so they are asked of a copy."""
    return {failure.number for failure in failures.detect(look(copy.deepcopy(machine)))}


def test_the_keeper_brings_wsl_back_and_only_what_ran_is_gone(working: Machine) -> None:
    FAULTS[10].breaks(working)
    data = linux(working).data
    assert data is not None
    assert (working.data["wsl"]["running"], data["busy"]) == ([], [])
    assert named(working) == {10}
    clock.advance(working, LOOK_MINUTES)
    assert working.data["wsl"]["running"] == [NAME]
    assert named(working) == set()
    assert data["files"][CHECKPOINT] == "epoch 3"
    assert look(working).facts.busy in ((), None)


def test_without_the_keeper_it_stays_named(working: Machine) -> None:
    faults.task(working, "Enabled", "false")
    FAULTS[10].breaks(working)
    clock.advance(working, 10 * LOOK_MINUTES)
    assert working.data["wsl"]["running"] == []
    assert 10 in named(working)


def test_wsl_that_was_only_shut_down_for_its_update_comes_back_too(working: Machine) -> None:
    wsl_vm.shutdown(working)
    working.data["wsl"]["version"] = "2.9.0"
    clock.advance(working, LOOK_MINUTES)
    assert working.data["wsl"]["running"] == [NAME]
    assert named(working) == set()


def test_our_own_playbook_never_updates_it_under_work(working: Machine) -> None:
    working.data["wsl"]["version"] = "2.5.10"
    given = variables()
    for topic in TOPICS:
        state = sections(working, *topics.sections(topic), variables=given)
        plan = topics.decide(topic, state, given)
        kinds = {action.kind for action in plan.actions}
        assert not kinds & {"msi_install", "wsl_shutdown", "wsl_terminate", "service_restart"}, topic
        if topic == "wsl":
            assert running(state["wsl"]) == (NAME,)
            assert any("stays" in said and "win_wsl_upgrade" in said for said in plan.warnings)
