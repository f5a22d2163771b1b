"""`rig doctor home` with a simulated PC at the other end of its rounds."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gpurig import records
from gpurig.cli import main
from gpurig.doctor import windows
from gpurig.host import Endpoint, Host
from gpurig.providers.workstation.windows import LINUX, WindowsSpec
from gpurig.reach import UnreachableError
from gpurig.stack import Stack
from gpurig.windows import wire
from gpurig.windows.actions import Action
from gpurig.windows.failures import Link
from gpurig.windows.session import Session
from tests.windows import rounds
from tests.windows.model import at_the_pc, faults
from tests.windows.model.faults import FAULTS, WELL
from tests.windows.model.fresh import fresh
from tests.windows.model.healthy import healthy
from tests.windows.model.pc import Machine

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPyH0gB1Z0Kk0m5cYd2W0sT2r9cZ3o5t5n9mM5l3b2Qx"


@dataclass
class Home:
    """A recorded PC. link: what the laptop sees; rounds: the sections of each round so far; silent: why nobody answers."""

    machine: Machine
    stack: Stack
    link: Link = WELL
    silent: str = ""
    rounds: list[list[str]] = field(default_factory=list)

    def rig(self, *words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["--stack", "test", *words])
        code = ended.value.code
        return code if isinstance(code, int) else 1

    def round(self, sections: Mapping[str, Any], actions: Sequence[Action] = (), *, seconds: float = 0) -> wire.Answer:
        if self.silent:
            raise UnreachableError(self.silent, lasting=False)
        self.rounds.append(list(sections))
        return rounds.talk(self.machine, actions, sections)


def recorded(stack: Stack) -> None:
    spec = WindowsSpec.model_validate(
        {"provider": "workstation", "os": "windows-wsl2", "address": "192.168.1.50", "user": "me"}
    )
    records.save(
        stack,
        Host(
            name="home",
            project="windows",
            stack="test",
            provider="workstation",
            id="home",
            label="gpurig.windows.test.home.1",
            generation=1,
            endpoint=Endpoint(address="192.168.1.50", port=22, user="me", host_key=HOST_KEY, shell="powershell"),
            capabilities=LINUX,
            variables=spec.host_variables(),
            spec=spec.model_dump(mode="json"),
            guest=spec.guest("home", HOST_KEY),
        ),
    )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    root = tmp_path / "project"
    root.mkdir()
    (root / "Pulumi.yaml").write_text("name: windows\nruntime: python\n")
    (root / "Pulumi.test.yaml").write_text("config: {}\n")
    monkeypatch.setenv("GPURIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(root)
    stack = Stack(project="windows", name="test", root=root, home=tmp_path / "home")
    recorded(stack)
    made = Home(healthy(), stack)
    monkeypatch.setattr(Session, "round", lambda _, *words, **options: made.round(*words, **options))
    monkeypatch.setattr(windows, "_ports", lambda *_: replace(made.link, guest=None, ssh=None))
    monkeypatch.setattr(
        windows.Patient,
        "_guest",
        lambda _, link: replace(link, guest=made.link.guest, smi=made.link.smi, cuda=made.link.cuda),
    )
    monkeypatch.setattr("gpurig.doctor.way._work", lambda _: iter(()))
    return made


def test_the_whole_way_takes_one_round_and_little_time(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert home.rig("doctor", "home") == 0
    assert time.monotonic() - began < 10
    assert len(home.rounds) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [
        f"OK    {step}"
        for step in ("record", "reachable", "Windows sshd", "WSL", "distribution", "address", "firewall")
    ] + [f"OK    {step}" for step in ("WSL sshd", "GPU", "CUDA", "keeper", "settings", "room")]


def test_a_broken_step_has_the_failure_that_explains_it_and_its_fix(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTS[16].breaks(home.machine)
    assert home.rig("doctor", "home") == 1
    out = capsys.readouterr().out
    assert "FAIL  address: failure 16, no network inside WSL: Ubuntu-24.04 knows no names" in out
    assert "Restart-Service hns" in out
    assert "`--fix` does it." in out


def test_json_has_the_same(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert home.rig("doctor", "home", "--json") == 0
    assert {one["level"] for one in json.loads(capsys.readouterr().out)} == {"OK"}


def test_fix_says_what_it_does_does_it_and_looks_again(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    FAULTS[31].breaks(home.machine)
    FAULTS[26].breaks(home.machine)
    assert home.rig("doctor", "home", "--fix", "--yes") == 0
    said = capsys.readouterr()
    assert "  shut WSL down\n  start the keeper\n" in said.err
    assert "Mended: failure 31, localhost does not lead into WSL." in said.err
    assert "Mended: failure 26" not in said.err
    assert said.out.count("failure 31") == 1
    assert [len(one) for one in home.rounds] == [11, 0, 11]


def test_fix_asks_first(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    FAULTS[31].breaks(home.machine)
    before = list(home.machine.data["done"])
    assert home.rig("doctor", "home", "--fix") != 0
    assert home.machine.data["done"] == before
    assert "say --yes" in capsys.readouterr().err


def test_fix_leaves_what_would_end_work(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    FAULTS[16].breaks(home.machine)
    data = faults.linux(home.machine).data
    assert data is not None
    data["busy"] = ["run 1"]
    before = list(home.machine.data["done"])
    assert home.rig("doctor", "home", "--fix", "--yes") == 1
    said = capsys.readouterr().err
    assert "Failure 16 is left, since mending it restarts WSL, and somebody works there: run 1." in said
    assert home.machine.data["done"] == before


def test_wsl_is_given_time_to_start_after_it_was_mended(
    home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        home.link = WELL

    monkeypatch.setattr("gpurig.doctor.windows.time.sleep", sleep)
    FAULTS[25].breaks(home.machine)
    home.link = replace(WELL, guest="connect failed: Connection refused")
    assert home.rig("doctor", "home", "--fix", "--yes") == 0
    assert slept == [windows.LOOK_SECONDS]
    assert "Mended: failure 25" in capsys.readouterr().err


def test_who_is_no_administrator_is_told(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.machine.data["login"]["elevated"] = False
    home.rig("doctor", "home")
    assert "WARN  Windows sshd: the host key is the pinned one; our key is taken, as me, who is no administrator" in (
        capsys.readouterr().out
    )


def test_what_windows_refuses_is_told(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    FAULTS[30].breaks(home.machine)
    home.machine.data["login"]["elevated"] = False
    assert home.rig("doctor", "home", "--fix", "--yes") == 1
    assert (
        "Windows refused a step, and the later ones were not tried: acl_set: Access is denied."
        in capsys.readouterr().err
    )


def test_what_is_missing_is_looked_for_at_its_source(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.machine = Machine(fresh(symptoms={"answers": faults.Refusing()}))
    assert home.rig("doctor", "home") == 1
    assert home.rounds[1:] == [["symptoms"]]
    assert "answers the PC with 403" in capsys.readouterr().out


def test_a_recording_is_shown_written_and_judged(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.machine.data["computer"] = "RECHNERSTUBE"
    FAULTS[25].breaks(home.machine)
    assert home.rig("doctor", "home", "--capture=pc.json") != 0
    assert not Path("pc.json").exists()
    shown = capsys.readouterr().err
    assert "say --yes" in shown
    assert "PT72H" in shown
    assert home.rig("doctor", "home", "--capture=pc.json", "--yes") == 0
    text = Path("pc.json").read_text()
    assert "RECHNERSTUBE" not in text
    assert "192.168.1" not in text
    capsys.readouterr()
    assert home.rig("doctor", "home", "--from=pc.json") == 0
    assert "failure 25" in capsys.readouterr().out


def test_who_answers_nobody_gets_a_script_whose_answer_is_judged(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    FAULTS[6].breaks(home.machine)
    home.link = Link(ports={22: "silent"})
    home.silent = "no answer from 192.168.1.50:22"
    assert home.rig("doctor", "home") == 1
    said = capsys.readouterr().out
    assert "powershell -ExecutionPolicy Bypass -File .\\doctor-home.ps1" in said
    script = Path("doctor-home.ps1").read_bytes()
    assert script.isascii()
    Path("doctor-home.json").write_text(json.dumps(at_the_pc.run(home.machine, script.decode())))
    assert home.rig("doctor", "home", "--from=doctor-home.json") == 1
    assert "failure 6, no virtualisation" in capsys.readouterr().out


def test_the_script_leaves_wsl_as_it_was(home: Home) -> None:
    home.silent = "no answer"
    home.link = Link(ports={22: "silent"})
    home.rig("doctor", "home")
    script = Path("doctor-home.ps1").read_text()
    home.machine.data["login"]["session"] = 1
    for runs in (True, False):
        at_the_pc.run(home.machine, script)
        assert bool(home.machine.data["wsl"]["running"]) is runs
        faults.stopped(home.machine)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"state": 3}', "\x00"])
def test_what_was_not_brought_from_the_pc_is_refused(home: Home, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.json").write_text(text)
    assert home.rig("doctor", "home", "--from=other.json") == 2
    assert "is not what doctor-HOST.ps1 writes" in capsys.readouterr().err


def test_options_that_cannot_be_are_refused(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert home.rig("doctor", "--fix") == 2
    assert home.rig("doctor", "home", "--fix", "--from=x.json") == 2
    assert home.rig("doctor", "home", "--capture=x.txt") == 2
    assert home.rig("doctor", "home", "--from=nowhere.json") == 2
    assert "cannot be read" in capsys.readouterr().err
