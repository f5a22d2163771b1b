"""Recordings of PCs (`rig doctor --capture`): each in tests/fixtures/windows is judged as it was when it was taken."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpurig.catalogue import ROOT
from gpurig.windows import chain, failures
from gpurig.windows.anonymous import anonymous
from gpurig.windows.failures import Case, Link
from gpurig.windows.failures.case import Pinned
from gpurig.windows.recording import read, recorded
from tests.windows.model.faults import FAULTS, LOST
from tests.windows.model.healthy import healthy
from tests.windows.patient import Patient
from tests.windows.test_failures import look

FIXTURES = sorted((ROOT / "tests" / "fixtures" / "windows").glob("*.json"))

NAMES = ("home", "me", "192.168.1.50")
"""Of the host's entry."""


def judged(recording: dict[str, Any]) -> list[int]:
    """What is found in a recording now."""
    return [failure.number for failure in failures.detect(read(recording, Case({})))]


def test_recordings_are_judged_as_when_they_were_taken() -> None:
    if not FIXTURES:
        pytest.skip("no recording of a real PC yet")
    for path in FIXTURES:
        recording = json.loads(path.read_text(encoding="utf-8"))
        assert judged(recording) == recording["about"]["failures"], path
        assert anonymous(recording["state"]) == recording["state"], path


@pytest.mark.parametrize("number", FAULTS)
def test_what_is_recorded_of_each_failure_can_be_a_fixture(number: int) -> None:
    fault = FAULTS[number]
    machine = healthy(**dict(fault.entry))
    fault.breaks(machine)
    case = look(machine, fault.link, **dict(fault.entry))
    recording = json.loads(json.dumps(recorded(case, NAMES)))
    assert judged(recording) == recording["about"]["failures"] == [one.number for one in failures.detect(case)]
    assert number in recording["about"]["failures"]
    assert anonymous(recording["state"]) == recording["state"]


@pytest.mark.parametrize("number", [15, 20, 22, 29])
def test_a_recording_is_judged_by_its_own_link_variables_and_connection(
    number: int, patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = FAULTS[number]
    machine = healthy(**dict(fault.entry))
    fault.breaks(machine)
    written = recorded(look(machine, fault.link, **dict(fault.entry)), NAMES)
    Path("pc.json").write_text(json.dumps(written))
    patient.rig("doctor", "home", "--from=pc.json")
    assert f"failure {number}," in capsys.readouterr().out


def test_a_lost_log_in_is_still_lost_in_a_recording(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    Path("pc.json").write_text(json.dumps(recorded(look(healthy(), LOST), NAMES)))
    assert patient.rig("doctor", "home", "--from=pc.json") == 1
    assert "FAIL  WSL sshd: channel 0: open failed" in capsys.readouterr().out


def test_a_pc_without_a_gpu_is_recorded_as_one(patient: Patient) -> None:
    case = replace(look(healthy()), gpu=False)
    assert read(json.loads(json.dumps(recorded(case, NAMES))), Case({})).gpu is False


def test_what_was_brought_from_a_pc_that_answers_nobody_is_recorded_with_what_it_is_judged_by(patient: Patient) -> None:
    mine, other = (f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA{'xyz' * 14}{name}" for name in "AB")
    pinned = Pinned("192.168.1.77", ("192.168.1.77",), other, mine)
    case = replace(look(healthy(), Link(source="192.168.1.20")), pinned=pinned)
    written = json.loads(json.dumps(recorded(case, NAMES)))
    text = json.dumps(written)
    assert not [word for word in ("xyz", "192.168.1") if word in text]
    found = list(chain.findings(read(written, Case({}))))
    assert [one.level for one in found if one.what in ("reachable", "Windows sshd")] == ["FAIL", "FAIL"]
    assert written["about"]["failures"] == judged(written) == [30]


BROKEN: dict[str, tuple[Any, str]] = {
    "nothing": ({"schema": 1, "state": {}}, "its `state` is empty"),
    "another version": ({"schema": 99, "state": {"wsl": {}}}, "its `schema` is 99, not 1"),
    "no version": ({"state": {"wsl": {}}}, "its `schema` is None"),
    "half a section": ({"schema": 1, "state": {"wsl": {"path": "x"}}}, "wsl: ['path'], promised ["),
    "no section": ({"schema": 1, "state": {"wsl": 3}}, "wsl: 3, promised ["),
    "no state": ({"schema": 1}, "it has no `state`"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_recording_is_refused_and_why_is_told(
    name: str, patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    body, says = BROKEN[name]
    Path("pc.json").write_text(json.dumps(body))
    assert patient.rig("doctor", "home", "--from=pc.json") == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda body: body["link"].pop("ports"), "its `link` or `pinned` is none of a recording"),
        (lambda body: body.update(variables=None), "it lacks the `variables`"),
        (lambda body: body["state"]["machine"].update(now="today"), "is not what doctor-HOST.ps1 writes"),
    ],
)
def test_a_recording_that_was_spoilt_is_refused(
    change: Callable[[dict[str, Any]], object], says: str, patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.loads(json.dumps(recorded(look(healthy()), NAMES)))
    change(body)
    Path("pc.json").write_text(json.dumps(body))
    assert patient.rig("doctor", "home", "--from=pc.json") == 2
    assert says in capsys.readouterr().err


def test_a_section_that_was_spoilt_is_told_and_the_others_are_judged(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    body = json.loads(json.dumps(recorded(look(healthy()), NAMES)))
    body["state"]["keeper"]["log"] = "no list"
    body["state"]["gpu"]["smi"]["out"] = "no Base64"
    Path("pc.json").write_text(json.dumps(body))
    patient.rig("doctor", "home", "--from=pc.json")
    told = capsys.readouterr().out
    assert "WARN  state: keeper: could not be read: keeper.log: 'no list' is no list[str]" in told
    assert "It was changed after it was written" in told
    assert "WARN  state: gpu: could not be read: out: 'no Base64' is no Base64" in told
    assert "OK    WSL sshd" in told


def test_no_password_of_a_variable_is_recorded() -> None:
    case = look(healthy())
    secrets = {"win_keeper_password": "hunter22", "win_linux_public_key": "ssh-ed25519 AAAA", "mlflow_password": "x"}
    case = replace(case, variables={**case.variables, **secrets})
    text = json.dumps(recorded(case, NAMES))
    assert not [word for word in ("hunter22", "AAAA", "mlflow") if word in text]
