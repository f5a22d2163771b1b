"""Recordings of PCs (`rig doctor --capture`): each in tests/fixtures/windows is judged as it was when it was taken."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gpurig import records
from gpurig.catalogue import ROOT
from gpurig.ops.pc import recorded
from gpurig.windows import failures
from gpurig.windows.anonymous import anonymous
from gpurig.windows.failures import Case, Link
from tests.windows.model.faults import FAULTS
from tests.windows.model.healthy import healthy
from tests.windows.patient import Patient
from tests.windows.test_failures import look

FIXTURES = sorted((ROOT / "tests" / "fixtures" / "windows").glob("*.json"))


def judged(recording: dict[str, Any]) -> list[int]:
    """What is found in a recording now."""
    ports = {int(port): answer for port, answer in recording["link"]["ports"].items()}
    link = Link(**{**recording["link"], "ports": ports})
    case = Case(recording["state"], recording["variables"], link, recording["connection"])
    return [failure.number for failure in failures.detect(case)]


def test_recordings_are_judged_as_when_they_were_taken() -> None:
    if not FIXTURES:
        pytest.skip("no recording of a real PC yet")
    for path in FIXTURES:
        recording = json.loads(path.read_text(encoding="utf-8"))
        assert judged(recording) == recording["about"]["failures"], path
        assert anonymous(recording["state"]) == recording["state"], path


@pytest.mark.parametrize("number", FAULTS)
def test_what_is_recorded_of_each_failure_can_be_a_fixture(number: int, patient: Patient) -> None:
    fault = FAULTS[number]
    machine = healthy(**dict(fault.entry))
    fault.breaks(machine)
    case = look(machine, fault.link, **dict(fault.entry))
    recording = json.loads(json.dumps(recorded(case, records.require(patient.stack, "home"))))
    assert judged(recording) == recording["about"]["failures"] == [one.number for one in failures.detect(case)]
    assert number in recording["about"]["failures"]
    assert anonymous(recording["state"]) == recording["state"]


def test_no_password_of_a_variable_is_recorded(patient: Patient) -> None:
    case = look(healthy())
    secrets = {"win_keeper_password": "hunter22", "win_linux_public_key": "ssh-ed25519 AAAA", "mlflow_password": "x"}
    case = replace(case, variables={**case.variables, **secrets})
    text = json.dumps(recorded(case, records.require(patient.stack, "home")))
    assert not [word for word in ("hunter22", "AAAA", "mlflow") if word in text]
