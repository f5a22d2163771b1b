"""How `rig verify` takes its options, and what it says; hosts and their checks are stand-ins."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpurig import history, records, verification
from gpurig.catalogue import ROOT
from gpurig.cli import main
from gpurig.host import Guest, Host
from gpurig.report import Report, folder_of
from gpurig.stack import Stack
from gpurig.verdict import Result, Verdict
from tests.unit.far import host
from tests.unit.metrics import samples

Rig = Callable[..., tuple[int, str, str]]


@pytest.fixture
def examined(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Hosts demo and two, whose checks are stand-ins: demo passes, and each time faster; two warns. What was asked for."""
    for name in ("demo", "two"):
        records.save(stack, host(name))
    asked: list[dict[str, Any]] = []

    def examine(target: verification.Target, **options: Any) -> Report:
        asked.append({"name": target.name, **options})
        verdict: Verdict = "PASS" if target.name == "demo" else "WARN"
        figure = 100.0 * len(asked)
        speed = Result(host=target.name, topic="gpu", name="speed", verdict=verdict, figure=figure, unit="GB/s")
        started = f"2026-11-22T10:00:{len(asked):02}+00:00"
        quick, burn = options["quick"], options["burn"]
        return Report(
            host=target.name,
            label=target.host.label,
            started=started,
            seconds=1,
            quick=quick,
            burn=burn,
            results=(speed,),
        )

    monkeypatch.setattr(verification, "examine", examine)
    return asked


@pytest.fixture
def rig(examined: list[dict[str, Any]], stack: Stack, capsys: pytest.CaptureFixture[str]) -> Rig:
    """Call `rig --stack test` with these words: exit code, stdout, stderr."""

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["--stack", "test", *words])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


class TestOptions:
    def test_a_new_usual_forgets_only_what_was_before(
        self, rig: Rig, examined: list[dict[str, Any]], stack: Stack
    ) -> None:
        assert rig("verify", "demo", "--new-usual")[0] == 0
        assert [one["name"] for one in examined] == ["demo"]
        assert [(folder_of(stack, name) / "usual_since").exists() for name in ("demo", "two")] == [True, False]
        for words in (["--quick"], ["--capture"], ["--nagios"]):
            code, out, err = rig("verify", "two", "--new-usual", *words)
            assert (code, "--new-usual" in out + err, len(examined)) == (3 if "--nagios" in words else 2, True, 1)
        assert rig("verify", "two", "--new-usual", "--burn=0")[0] == 2
        assert not (folder_of(stack, "two") / "usual_since").exists()

    def test_compare_verifies_and_then_tells_what_changed(self, rig: Rig, examined: list[dict[str, Any]]) -> None:
        code, out, _ = rig("verify", "demo", "--compare")
        assert (code, len(examined)) == (0, 1)
        assert "demo: nothing to compare with: there was no earlier full verification." in out
        code, out, _ = rig("verify", "demo", "--compare")
        assert (code, len(examined)) == (0, 2)
        assert "moved: gpu: speed: 100 GB/s → 200 GB/s (+100.0 %)" in out
        assert "demo: PASS (1 PASS)" in out
        code, out, _ = rig("verify", "demo", "--compare", "--json")
        (data,) = json.loads(out)
        assert data["compared"]["with"]["started"] == "2026-11-22T10:00:02+00:00"
        assert data["compared"]["figures"][0]["percent"] == 50
        assert "compared" not in json.loads(rig("verify", "demo", "--json")[1])[0]

    def test_nagios_gets_one_line_and_its_code(self, rig: Rig) -> None:
        assert rig("verify", "demo", "--nagios") == (0, "OK - demo: 1 PASS | 'PASS'=1;;;0 'WARN'=0;;;0 'FAIL'=0;;;0 'SKIP'=0;;;0 'time'=1s;;;0 'speed'=100\n", "")  # fmt: skip
        code, out, err = rig("verify", "--nagios", "--quick")
        assert (code, err) == (1, "")
        assert out.startswith("WARNING - demo: 1 PASS; two: 1 WARN: gpu: speed | ")
        assert out.count("\n") == 1

    @pytest.mark.parametrize(
        "words", ["nobody", "--json", "--compare", "--capture", "--burn 0", "--textfile /no/where.prom"]
    )
    def test_what_hinders_a_verification_is_unknown_to_nagios(self, rig: Rig, words: str) -> None:
        code, out, err = rig("verify", "--nagios", *words.split())
        assert (code, err) == (3, "")
        assert re.fullmatch(r"UNKNOWN - [^\n]+\n", out)

    def test_burn_reaches_the_checks(self, rig: Rig, examined: list[dict[str, Any]], stack: Stack) -> None:
        code, _, err = rig("verify", "demo", "--burn", "2.5")
        assert (code, examined[0]["burn"]) == (0, 2.5)
        assert "2.5 min of it under full load" in err
        page = (folder_of(stack, "demo") / "latest.html").read_text()
        assert "with 2.5 min of full load" in page

    def test_the_textfile_has_every_host_and_node_exporter_can_read_it(
        self, rig: Rig, tmp_path: Path, stack: Stack
    ) -> None:
        file = tmp_path / "gpurig.prom"
        file.write_text("old")
        assert rig("verify", "demo", "--textfile", str(file))[0] == 0
        checks = {
            (labels["host"], labels["check"]): v
            for name, labels, v in samples(file.read_text())
            if name == "gpurig_check"
        }
        assert checks == {("demo", "speed"): 0, ("two", "up to date"): 2}
        assert file.stat().st_mode & 0o777 == 0o644
        assert rig("verify", "two", "--textfile", str(file))[0] == 0
        assert {labels["host"] for _, labels, _ in samples(file.read_text())} == {"demo", "two"}
        assert list(tmp_path.glob(".gpurig*")) == []

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["--burn", "0"], "--burn 0: write a number of minutes above 0"),
            (["--burn", "0.0"], "--burn 0.0: write a number of minutes above 0"),
            (["--burn=-5"], "above 0"),
            (["--burn", "-5"], "above 0"),
            (["--burn", "soon"], "--burn soon: write a number of minutes"),
            (["--burn", "nan"], "--burn nan: write a number of minutes"),
            (["--burn", "inf"], "at most 1440"),
            (["--burn", "100000"], "at most 1440"),
            (["--burn", "5", "--quick"], "leave one of them out"),
            (["--textfile", "missing/x.prom"], "there is no folder"),
            (["--textfile", "metrics.txt"], "end in .prom"),
            (["nobody"], "No host 'nobody'"),
        ],
    )
    def test_wrong_options_are_said_before_anything_runs(
        self, rig: Rig, examined: list[dict[str, Any]], words: list[str], says: str
    ) -> None:
        code, out, err = rig("verify", *words)
        assert (code, out, examined) == (2, "", [])
        assert says in err
        assert err.count("\n") == 1

    def test_a_folder_that_one_may_not_write_to_is_refused(
        self, rig: Rig, examined: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)
        code, _, err = rig("verify", "--textfile", str(tmp_path / "x.prom"))
        assert (code, examined) == (2, [])
        assert "cannot be written" in err

    def test_every_verification_is_kept(self, rig: Rig, stack: Stack) -> None:
        for _ in range(3):
            rig("verify", "--quick")
        assert [len(history.runs(stack, name)) for name in ("demo", "two")] == [3, 3]


def windows(*, guest: Guest | None = None) -> Host:
    """A PC with Windows, and what runs inside."""
    pc = host("home", environments=("starter",))
    return replace(pc, endpoint=replace(pc.endpoint, shell="powershell"), guest=guest, services=("jupyter",))


def test_of_a_windows_pc_its_linux_side_is_checked(stack: Stack) -> None:
    linux = host("home-wsl")
    records.save(stack, windows(guest=Guest(name=linux.name, endpoint=linux.endpoint, capabilities=linux.capabilities)))
    [target] = verification.targets(stack, ["home"])
    assert (target.name, target.environments, target.services) == ("home-wsl", ("starter",), ("jupyter",))


def test_a_stack_without_a_linux_host_is_wrong_use(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    records.save(stack, windows())
    for words in ([], ["home"], ["--capture"], ["home", "--capture"]):
        with pytest.raises(SystemExit) as end:
            main(["--stack", "test", "verify", *words])
        assert end.value.code == 2
        assert "Linux side" in capsys.readouterr().err


class TestPlaybook:
    """The action plugin that playbooks/verify.yml calls."""

    @staticmethod
    def run(**arguments: Any) -> dict[str, Any]:
        from ansible.playbook.task import Task

        place = ROOT / "plugins" / "action" / "gpurig_verify.py"
        found = spec_from_file_location("gpurig_verify", place)
        assert found
        assert found.loader
        plugin = module_from_spec(found)
        found.loader.exec_module(plugin)
        task = Task.load({"action": "gpurig_verify", "args": {"hosts": ["demo"], "stack": "test", **arguments}})
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir="/nowhere"))
        made = plugin.ActionModule(task, connection, SimpleNamespace(check_mode=False, diff=False), None, None, None)
        result: dict[str, Any] = made.run(task_vars={})
        return result

    def test_options_reach_the_checks(self, examined: list[dict[str, Any]]) -> None:
        assert not self.run(burn="1.5")["failed"]
        assert not self.run(quick="true", burn=0)["failed"]
        assert [(asked["burn"], asked["quick"]) for asked in examined] == [(1.5, False), (0.0, True)]

    @pytest.mark.parametrize("arguments", [{"burn": -1}, {"burn": 1, "quick": True}, {"burn": 1e9}])
    def test_wrong_options_are_refused(self, examined: list[dict[str, Any]], arguments: dict[str, Any]) -> None:
        result = self.run(**arguments)
        assert (result["failed"], examined) == (True, [])
        assert "burn" in result["msg"]
