"""`rig verify --capture`: a recording to give away. The host's readings are stand-ins."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpurig import records, verification
from gpurig.cli import main
from gpurig.health import gather
from gpurig.health.__main__ import wanted_of
from gpurig.host import Host
from gpurig.report import folder_of
from gpurig.stack import Stack
from tests.unit import far

Rig = Callable[..., tuple[int, str, str]]

RECORDING = {
    "schema": 1,
    "machine": {"platform": "native", "kernel": "6.8.0 on demo"},
    "smi": {
        "list": {"code": 0, "out": "GPU 0: NVIDIA H100 (UUID: GPU-0a1b2c3d-0000-1111-2222-333344445555)", "err": ""}
    },
}


SPEC = {"gpu": "H100", "count": 2, "memory": None}


def host(name: str) -> Host:
    """A record of a host with GPUs."""
    capabilities = replace(far.host().capabilities, gpu_driver="provided")
    variables = {"gpu_min_pcie_width": 4, "base_time_zone": "UTC"}
    return replace(
        far.host(name), capabilities=capabilities, spec=SPEC, variables=variables, services=("api", "mlflow")
    )


@pytest.fixture
def rig(stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rig:
    """Call `rig` on a stack with hosts demo and two: exit code, stdout, stderr. Nothing is to be verified."""
    for name in ("demo", "two"):
        records.save(stack, host(name))
    monkeypatch.setattr(verification, "examine", pytest.fail)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["--stack", "test", *words])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """Readings are stand-ins: demo's. What was asked for."""
    asked: list[dict[str, Any]] = []

    def quick(place: gather.Place) -> dict[str, Any]:
        asked.append({"gpu": place.gpu, "kernel": place.run("uname -s")})
        return RECORDING

    def full(place: gather.Place, found: Mapping[str, Any], *, burn: float) -> dict[str, Any]:
        asked[-1] |= {"burn": burn}
        return {**found, "speed": {"burn": burn}}

    monkeypatch.setattr(gather, "quick", quick)
    monkeypatch.setattr(gather, "full", full)
    (tmp_path / "bin").mkdir()
    ssh = tmp_path / "bin" / "ssh"
    ssh.write_text('#!/bin/sh\nfor word; do :; done\nexec sh -c "$word"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}:{os.environ['PATH']}")
    return asked


def test_it_records_one_host_without_names_and_says_to_look_through_it(
    rig: Rig, taken: list[dict[str, Any]], stack: Stack
) -> None:
    code, out, err = rig("verify", "demo", "--capture", "--burn=2")
    path = folder_of(stack, "demo") / "recording.json"
    assert (code, out) == (0, f"Written: {path}\n")
    assert "Look through it before you share it" in err
    assert taken == [{"gpu": True, "kernel": (0, "Linux\n", ""), "burn": 2.0}]
    found = json.loads(path.read_text())
    assert found["about"]["origin"] == "recorded"
    assert found["wanted"] == {"gpu": "H100", "count": 2, "variables": {"gpu_min_pcie_width": 4}, "services": ["api"]}
    wanted = wanted_of(found)
    assert (wanted.gpu, wanted.count, wanted.policy) == ("H100", 2, {"min_pcie_width": 4})
    assert wanted.services == ("api",)
    assert found["machine"]["kernel"] == "6.8.0 on <name>"
    assert "0a1b2c3d" not in path.read_text()
    assert found["speed"] == {"burn": 2.0}
    assert path.stat().st_mode & 0o777 == 0o600


def test_quick_leaves_out_what_takes_long_and_the_file_can_be_named(
    rig: Rig, taken: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "mine.json"
    code, out, _ = rig("verify", "--quick", f"--capture={file}", "demo", "--json")
    assert (code, json.loads(out)) == (0, {"host": "demo", "file": str(file)})
    assert "speed" not in json.loads(file.read_text())


def test_a_host_named_like_its_gpu_keeps_the_gpus_name(
    rig: Rig, taken: list[dict[str, Any]], stack: Stack, tmp_path: Path
) -> None:
    records.save(stack, host("h100"))
    assert rig("verify", f"--capture={tmp_path / 'x.json'}", "h100")[0] == 0
    assert "NVIDIA H100 " in json.loads((tmp_path / "x.json").read_text())["smi"]["list"]["out"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--capture"], "Hosts: demo, two."),
        (["--capture", "demo", "two"], "one host at a time"),
        (["--capture", "nobody"], "No host 'nobody'"),
        (["--capture=x.txt", "demo"], "ends in .json"),
        (["--capture=missing/x.json", "demo"], "there is no folder"),
        (["--capture", "demo", "--compare"], "leave out --compare"),
        (["--capture", "demo", "--burn", "0"], "above 0"),
    ],
)
def test_wrong_use_is_said_before_anything_runs(
    rig: Rig, taken: list[dict[str, Any]], words: list[str], says: str
) -> None:
    code, out, err = rig("verify", *words)
    assert (code, out, taken) == (2, "", [])
    assert says in err


def test_a_host_without_gpu_has_none_to_record(rig: Rig, taken: list[dict[str, Any]], stack: Stack) -> None:
    records.save(stack, far.host("plain"))
    code, out, err = rig("verify", "plain", "--capture")
    assert (code, out, taken) == (2, "", [])
    assert "plain has no GPU to record: `gpu_driver` is none" in err
    assert f"{stack.file.name}: gpurig:hosts.plain" in err


def test_an_unreachable_host_is_a_failure(rig: Rig, taken: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "bin" / "ssh").write_text("#!/bin/sh\necho 'Connection refused' >&2\nexit 255\n")
    code, out, err = rig("verify", "demo", "--capture")
    assert (code, out, taken) == (1, "", [])
    assert "no SSH at" in err
