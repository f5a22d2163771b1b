"""What only Pulumi's real CLI can show, typed by its user or run by `rig`. Skipped where it is not found."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpurig.catalogue import ROOT
from gpurig.pulumi_cli import TYPE
from tests.projects import NO_PULUMI, PULUMI, Project, podman_in_front

pytestmark = pytest.mark.skipif(PULUMI is None, reason=NO_PULUMI)

SECRET = "not-for-anybodys-eyes"
QUICK = ("--yes", "--skip-preview")


@pytest.fixture
def project(new_project: Callable[[str], Project]) -> Project:
    """A project on Pulumi's engine."""
    return new_project("pulumi")


@pytest.fixture
def bare(host_image: str) -> dict[str, Any]:
    """The quickest host there is."""
    return {"provider": "container", "init": "none", "image": host_image}


def exported(project: Project, stack: str = "test") -> dict[str, Any]:
    """The stack's deployment."""
    found: dict[str, Any] = json.loads(project.pulumi("stack", "export", GPURIG_STACK=stack).stdout)["deployment"]
    return found


def hosts_of(deployment: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Host → its resource."""
    return {
        resource["urn"].rsplit("::", 1)[1]: resource
        for resource in deployment.get("resources", [])
        if resource["type"] == TYPE
    }


def test_a_user_of_pulumi_alone_needs_no_rig(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": {"provider": "container", "ca_bundle": None}})
    project.pulumi("stack", "init")
    assert "+ 3 to create" in project.pulumi("preview").stdout  # two hosts and the stack
    shown = project.pulumi("up", *QUICK).stdout
    assert "one: making gpurig." in shown
    output = json.loads(project.pulumi("stack", "output", "hosts", "--json").stdout)
    for name, record in output.items():
        assert record == json.loads((project.stack().dir / "hosts" / f"{name}.json").read_text())
    assert {name: [record["id"]] for name, record in output.items()} == project.containers()

    project.remove("label=gpurig.host=one")
    assert "one: gone" in project.pulumi("refresh", *QUICK).stdout
    assert list(hosts_of(exported(project))) == ["two"]
    project.pulumi("up", *QUICK)
    assert sorted(project.containers()) == ["one", "two"]
    project.pulumi("destroy", *QUICK)
    assert project.containers() == {}


def test_the_state_holds_neither_secrets_nor_this_laptops_paths(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare})
    project.pulumi("stack", "init")
    project.pulumi("config", "set", "--secret", "--path", "gpurig:secrets.VAST_API_KEY", SECRET)
    up = project.rig("up", VAST_API_KEY="another-" + SECRET)
    assert SECRET not in up.stdout + up.stderr
    resource = hosts_of(exported(project))["one"]
    for key in ("inputs", "outputs"):
        text = json.dumps(resource[key])
        assert str(project.home) not in text
        assert str(project.root) not in text
    for folder in (project.root / "state", project.home):
        for file in filter(Path.is_file, folder.rglob("*")):
            assert SECRET.encode() not in file.read_bytes(), file


def test_an_encrypted_key_reaches_podman_by_the_environment(
    project: Project, bare: dict[str, Any], tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    project.configure({"one": bare})
    project.pulumi("stack", "init")
    project.pulumi("config", "set", "--secret", "--path", "gpurig:secrets.VAST_API_KEY", SECRET)
    project.pulumi("up", *QUICK, PATH=podman_in_front(tmp_path, f'echo "$VAST_API_KEY" >>{seen}'))
    assert set(seen.read_text().split()) == {SECRET}


def test_a_readable_key_is_refused_in_one_message(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": {**bare, "cpu": 1}}, secrets={"VAST_API_KEY": SECRET})
    project.pulumi("stack", "init")
    refused = project.pulumi("up", *QUICK, check=False)
    told = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "gpurig:secrets: not encrypted" in told
    assert "gpurig:hosts.two.cpu: unknown key (did you mean 'cpus'?)" in told
    assert "Traceback" not in told
    assert project.containers() == {}


def test_destroy_is_refused_while_results_are_nowhere_else(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare})
    project.rig("up")
    run = project.stack().dir / "runs" / "one" / "r1"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    refused = project.pulumi("destroy", *QUICK, check=False)
    assert refused.returncode != 0
    assert "one: not destroyed, since the results of r1 were not brought back" in refused.stdout
    assert "lifecycle.py" not in refused.stdout
    assert project.only("one")
    project.pulumi("destroy", *QUICK, GPURIG_DISCARD_RESULTS="one")
    assert project.containers() == {}


def test_a_forced_replacement_ends_the_host_before_it_makes_the_next(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": bare})
    project.rig("up")
    before = project.containers()
    urn = hosts_of(exported(project))["one"]["urn"]
    shown = project.pulumi("up", *QUICK, f"--replace={urn}").stdout
    assert shown.index("one: ending") < shown.index("one: making")
    assert project.only("one") not in before["one"]
    assert project.containers()["two"] == before["two"]
    assert project.inspect(project.only("one"))["Name"].endswith(".one.2")


def test_after_a_kill_pulumi_itself_goes_on_once_its_lock_is_gone(
    project: Project, bare: dict[str, Any], tmp_path: Path
) -> None:
    project.configure({"one": bare, "left": bare})
    project.pulumi("stack", "init")
    kill_during(project, tmp_path, "start")
    pending = {operation["resource"]["urn"].rsplit("::", 1)[1] for operation in exported(project)["pending_operations"]}
    assert pending == {"one", "left"}
    assert "currently locked" in project.pulumi("up", *QUICK, check=False).stderr
    project.pulumi("cancel", "--yes")
    project.configure({"one": bare})
    project.pulumi("up", *QUICK)
    assert list(project.containers()) == ["one"]
    assert project.only("one")


def test_after_a_kill_rig_removes_the_lock_and_what_pulumi_is_unsure_of(
    project: Project, bare: dict[str, Any], tmp_path: Path
) -> None:
    project.configure({"one": bare})
    project.pulumi("stack", "init")
    kill_during(project, tmp_path, "start")
    up = project.rig("up")
    assert "Removing Pulumi's lock on stack test" in up.stderr
    assert "pending operations" not in up.stderr
    assert not exported(project).get("pending_operations")
    assert project.only("one")


def test_a_run_of_pulumi_that_goes_on_is_waited_for_and_then_named(
    project: Project, bare: dict[str, Any], tmp_path: Path
) -> None:
    project.configure({"one": bare})
    project.pulumi("stack", "init")
    slow = podman_in_front(tmp_path, '[ "$1" = start ] && sleep 20')
    with project.start("up", PATH=slow) as first:
        locks = project.root / "state" / ".pulumi" / "locks"
        while not list(locks.rglob("*.json")):
            time.sleep(0.1)
        (project.stack().dir / "locks" / "engine").unlink()  # as if Pulumi's user had started it, and not rig
        begun = time.monotonic()
        refused = project.rig("up", check=False)
        assert time.monotonic() - begun > 10
        first.communicate()
    assert refused.returncode == 1
    assert "Another run of Pulumi is working on stack test. Wait for it; if it was killed" in refused.stderr
    assert "pulumi cancel --stack test" in refused.stderr
    assert project.only("one")


def test_without_a_login_the_state_is_kept_here_under_a_passphrase_of_its_own(
    project: Project, bare: dict[str, Any]
) -> None:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE"):
        del project.environment[name]
    file = project.stack().file
    file.write_text(yaml.safe_dump({"config": {"gpurig:hosts": {"one": bare}}}))
    up = project.rig("up")
    assert f"its state is kept in {(project.home / 'pulumi').as_uri()}" in up.stderr
    passphrase = project.stack().dir / "passphrase"
    assert passphrase.stat().st_mode & 0o077 == 0
    assert "encryptionsalt" in file.read_text()
    assert json.loads(project.rig("--json", "up").stdout)[0]["action"] == "same"
    passphrase.unlink()
    refused = project.rig("up", check=False)
    assert refused.returncode == 2
    assert "encryptionsalt: made with a passphrase that is not on this machine" in refused.stderr


@pytest.mark.parametrize("by", ["pulumi", "rig"])
def test_the_demos_file_stays_as_it_is_in_the_repository(
    project: Project, bare: dict[str, Any], by: str, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "Pulumi.demo.yaml", project.root)
    if by == "pulumi":
        project.pulumi("stack", "init", GPURIG_STACK="demo")
        project.pulumi("up", *QUICK, GPURIG_STACK="demo")
        project.pulumi("refresh", *QUICK, GPURIG_STACK="demo")
        project.pulumi("destroy", *QUICK, GPURIG_STACK="demo")
    else:
        del project.environment["PULUMI_BACKEND_URL"], project.environment["PULUMI_CONFIG_PASSPHRASE"]
        project.rig("up", GPURIG_STACK="demo")
        project.rig("down", "--yes", GPURIG_STACK="demo")
    assert (project.root / "Pulumi.demo.yaml").read_bytes() == (ROOT / "Pulumi.demo.yaml").read_bytes()


def kill_during(project: Project, folder: Path, verb: str) -> None:
    """`pulumi up`, killed at the first call of podman with this verb."""
    script = f"""\
process=$PPID
until ps -o command= -p "$process" | grep -q "pulumi up"; do process=$(ps -o ppid= -p "$process" | tr -d ' '); done
[ "$1" = {verb} ] && kill -9 "$process"
"""
    assert project.pulumi("up", *QUICK, check=False, PATH=podman_in_front(folder, script)).returncode == -9
