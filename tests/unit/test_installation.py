"""What has to be done for a host's environments, and what stands against it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gpurig import environments, installation
from gpurig.torch_build import Machine
from tests.unit.environment_folders import write

CPU_HOST = Machine(expected=False)
GPU_HOST = Machine(expected=True, driver="550.54.15", gpus=1, capabilities=((8, 9),))


def seen(**changes: Any) -> dict[str, Any]:
    return {
        "folder": "/opt/gpurig/environments",
        "free": 10 * 10**9,
        "home": "/home/dev",
        "complete": [],
        "pythons": {},
    } | changes


def plan(folder: Path, *names: str) -> list[dict[str, Any]]:
    found, problems = installation.chosen(names, folder, CPU_HOST, {})
    assert problems == []
    return [one.to_dict() for one in found]


def test_what_is_wrong_with_several_environments_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path / "good")
    write(tmp_path / "torch", lock="torch==2.14.1 --hash=sha256:00\ncuda-toolkit==13.0.3 --hash=sha256:00\n")
    write(tmp_path / "stale", noted="of another pyproject.toml")
    write(tmp_path / "broken", more="smoke_seconds = 0\n")
    found, problems = installation.chosen(
        ["good", "god", "torch", "stale", "broken"], tmp_path, GPU_HOST, {"other": {"url": "https://x/y"}}
    )
    assert [one.environment.name for one in found] == ["good", "stale"]
    assert [problem.split(" ", 1)[0] for problem in problems] == [
        "environments_sources.other:",
        "`environments`",
        "Environment",
        f"{tmp_path}/stale/requirements.lock:",
        f"{tmp_path}/broken/pyproject.toml:",
    ]
    assert "names god, which does not exist (did you mean 'good'?)" in problems[1]
    assert "Environment torch: none of its builds works" in problems[2]
    assert "rig env lock torch --build cu126" in problems[2]


def test_an_environment_that_is_named_twice_is_one(tmp_path: Path) -> None:
    write(tmp_path / "good")
    assert [one["name"] for one in plan(tmp_path, "good", "good")] == ["good"]


def test_the_marker_tells_the_environment_its_version_and_the_build(tmp_path: Path) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b")
    one, other = plan(tmp_path, "a", "b")
    assert one["marker"] == f"a {environments.read(tmp_path / 'a').digest} requirements.lock -"
    assert one["marker_sha256"] != other["marker_sha256"]


def test_the_disk_must_hold_all_that_is_not_there_yet(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write(tmp_path / name, disk_gb=6, lock=f"{name}==1.0 --hash=sha256:00\n")
    a, b, c = plan(tmp_path, "a", "b", "c")
    assert list(installation.objections([a], seen())) == []
    (said,) = installation.objections([a, b, c], seen())
    assert (
        "18 GB must be free there (a 6, b 6, c 6: tool.gpurig.disk_gb in their pyproject.toml), found 10.0 GB" in said
    )
    assert list(installation.objections([a, b], seen(complete=[a["packages_digest"]]))) == []


def test_a_python_that_cannot_be_had_is_named_with_its_key(tmp_path: Path) -> None:
    write(tmp_path / "a", python=">=3.8,<3.9")
    wanted = plan(tmp_path, "a")
    gone = {"found": "", "error": "https://x cannot be reached"}
    (said,) = installation.objections(wanted, seen(pythons={">=3.8,<3.9": gone}))
    assert said.startswith("Environment a: project.requires-python in its pyproject.toml says >=3.8,<3.9;")
    assert "https://x cannot be reached" in said
    assert (
        list(installation.objections(wanted, seen(pythons={">=3.8,<3.9": {"found": "/usr/bin/python3", "error": ""}})))
        == []
    )
    assert list(installation.objections(wanted, seen(pythons={">=3.8,<3.9": {"found": "", "error": ""}}))) == []


def test_a_conda_environment_needs_pixis_checksum(tmp_path: Path) -> None:
    folder = write(tmp_path / "a")
    for name in ("environment.yml", "pixi.toml", "pixi.lock"):
        (folder / name).write_text("")
    found, problems = installation.chosen(["a"], tmp_path, CPU_HOST, {})
    assert problems == [f"{folder}/pixi.lock: does not match {folder}/environment.yml. Run `rig env lock a`."]
    (said,) = installation.objections([one.to_dict() for one in found], seen())
    assert "environments_pixi_sha256" in said
    assert list(installation.objections([one.to_dict() for one in found], seen(), "00")) == []


@pytest.mark.parametrize(
    ("value", "there"),
    [("~/data", "/home/dev/data"), ("~", "/home/dev"), ("~x", "~x"), ("a/~/b", "a/~/b"), ("$HOME", "$HOME")],
)
def test_a_leading_tilde_is_the_users_home(value: str, there: str) -> None:
    assert installation.variables({"variables": {"A": value}}, "/home/dev") == {"A": there}
    assert installation.variables_file({"variables": {"A": value}}, "/home/dev").splitlines()[1:] == [f"A='{there}'"]
