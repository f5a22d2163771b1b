"""`rig doctor home` with a simulated PC at the other end of its rounds."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from gpurig.doctor import windows
from gpurig.windows.failures import Link
from tests.windows.model import at_the_pc, faults
from tests.windows.model.faults import FAULTS, WELL
from tests.windows.model.fresh import fresh
from tests.windows.model.pc import Machine
from tests.windows.patient import Patient


def test_the_whole_way_takes_one_round_and_little_time(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert patient.rig("doctor", "home") == 0
    assert time.monotonic() - began < 10
    assert len(patient.rounds) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        f"OK    {step}"
        for step in ("record", "reachable", "Windows sshd", "WSL", "distribution", "address", "firewall")
    ] + [f"OK    {step}" for step in ("WSL sshd", "GPU", "CUDA", "keeper", "settings", "room")]


def test_a_broken_step_has_the_failure_that_explains_it_and_its_fix(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTS[16].breaks(patient.machine)
    assert patient.rig("doctor", "home") == 1
    out = capsys.readouterr().out
    assert "FAIL  address: failure 16, no network inside WSL: Ubuntu-24.04 knows no names" in out
    assert "Restart-Service hns" in out
    assert "`--fix` does it." in out


def test_json_has_the_same(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    assert patient.rig("doctor", "home", "--json") == 0
    assert {one["level"] for one in json.loads(capsys.readouterr().out)} == {"OK"}


def test_fix_says_what_it_does_does_it_and_looks_again(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    FAULTS[31].breaks(patient.machine)
    FAULTS[26].breaks(patient.machine)
    assert patient.rig("doctor", "home", "--fix", "--yes") == 0
    said = capsys.readouterr()
    assert "  shut WSL down\n  start the keeper\n" in said.err
    assert "Mended: failure 31, localhost does not lead into WSL." in said.err
    assert "Mended: failure 26" not in said.err
    assert said.out.count("failure 31") == 1
    assert [len(one) for one in patient.rounds] == [11, 0, 11]


def test_fix_asks_first(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    FAULTS[31].breaks(patient.machine)
    before = list(patient.machine.data["done"])
    assert patient.rig("doctor", "home", "--fix") != 0
    assert patient.machine.data["done"] == before
    assert "say --yes" in capsys.readouterr().err


def test_fix_leaves_what_would_end_work(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    FAULTS[16].breaks(patient.machine)
    data = faults.linux(patient.machine).data
    assert data is not None
    data["busy"] = ["run 1"]
    before = list(patient.machine.data["done"])
    assert patient.rig("doctor", "home", "--fix", "--yes") == 1
    said = capsys.readouterr().err
    assert "Failure 16 is left, since mending it restarts WSL, and work there may be lost: run 1." in said
    assert patient.machine.data["done"] == before


def test_wsl_is_given_time_to_start_after_it_was_mended(
    patient: Patient, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        patient.link = WELL

    monkeypatch.setattr("gpurig.doctor.windows.time.sleep", sleep)
    FAULTS[25].breaks(patient.machine)
    patient.link = replace(WELL, guest="connect failed: Connection refused")
    assert patient.rig("doctor", "home", "--fix", "--yes") == 0
    assert slept == [windows.LOOK_SECONDS]
    assert "Mended: failure 25" in capsys.readouterr().err


def test_who_is_no_administrator_is_told(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    patient.machine.data["login"]["elevated"] = False
    patient.rig("doctor", "home")
    assert "WARN  Windows sshd: the host key is the pinned one; our key is taken, as me, who is no administrator" in (
        capsys.readouterr().out
    )


def test_what_windows_refuses_is_told(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    FAULTS[30].breaks(patient.machine)
    patient.machine.data["login"]["elevated"] = False
    assert patient.rig("doctor", "home", "--fix", "--yes") == 1
    assert (
        "Windows refused a step, and the later ones were not tried: acl_set: Access is denied."
        in capsys.readouterr().err
    )


def test_what_is_missing_is_looked_for_at_its_source(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    patient.machine = Machine(fresh(symptoms={"answers": faults.Refusing()}))
    assert patient.rig("doctor", "home") == 1
    assert patient.rounds[1:] == [["symptoms"]]
    assert "answers the PC with 403" in capsys.readouterr().out


def test_a_recording_is_shown_written_and_judged(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    patient.machine.data["computer"] = "RECHNERSTUBE"
    FAULTS[25].breaks(patient.machine)
    assert patient.rig("doctor", "home", "--capture=pc.json") != 0
    assert not Path("pc.json").exists()
    shown = capsys.readouterr().err
    assert "say --yes" in shown
    assert "PT72H" in shown
    assert patient.rig("doctor", "home", "--capture=pc.json", "--yes") == 0
    text = Path("pc.json").read_text()
    assert "RECHNERSTUBE" not in text
    assert "192.168.1" not in text
    capsys.readouterr()
    assert patient.rig("doctor", "home", "--from=pc.json") == 0
    assert "failure 25" in capsys.readouterr().out


def test_nobody_logs_in_where_nothing_answers(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    patient.link = Link(ports={22: "refused"})
    assert patient.rig("doctor", "home") == 1
    assert patient.rounds == []
    assert "FAIL  reachable: port 22 of the PC: nothing listens there" in capsys.readouterr().out


def test_who_answers_nobody_gets_a_script_whose_answer_is_judged(
    patient: Patient, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTS[6].breaks(patient.machine)
    patient.link = Link(ports={22: "silent"})
    patient.silent = "no answer from 192.168.1.50:22"
    assert patient.rig("doctor", "home") == 1
    said = capsys.readouterr().out
    assert "powershell -ExecutionPolicy Bypass -File .\\doctor-home.ps1" in said
    script = Path("doctor-home.ps1").read_bytes()
    assert script.isascii()
    Path("doctor-home.json").write_text(json.dumps(at_the_pc.run(patient.machine, script.decode())))
    assert patient.rig("doctor", "home", "--from=doctor-home.json") == 1
    assert "failure 6, no virtualisation" in capsys.readouterr().out


def test_the_script_leaves_wsl_as_it_was(patient: Patient) -> None:
    patient.silent = "no answer"
    patient.link = Link(ports={22: "silent"})
    patient.rig("doctor", "home")
    script = Path("doctor-home.ps1").read_text()
    for runs in (True, False):
        at_the_pc.run(patient.machine, script)
        assert bool(patient.machine.data["wsl"]["running"]) is runs
        faults.stopped(patient.machine)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"state": 3}', "\x00"])
def test_what_was_not_brought_from_the_pc_is_refused(
    patient: Patient, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("other.json").write_text(text)
    assert patient.rig("doctor", "home", "--from=other.json") == 2
    assert "is not what doctor-HOST.ps1 writes" in capsys.readouterr().err


def test_options_that_cannot_be_are_refused(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    assert patient.rig("doctor", "--fix") == 2
    assert patient.rig("doctor", "home", "--fix", "--from=x.json") == 2
    assert patient.rig("doctor", "home", "--capture=x.txt") == 2
    assert patient.rig("doctor", "home", "--from=nowhere.json") == 2
    assert "cannot be read" in capsys.readouterr().err
