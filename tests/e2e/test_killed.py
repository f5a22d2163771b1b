"""`rig up` killed with SIGKILL at many points: the next one takes over what exists, and one container per host remains.

A program in front of podman counts calls and kills the engine at one of them: `before` podman is called, so that the
call never happens, or `during` it, so that podman outlives its caller and works on while the next `rig up` runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Done, Project

AT_ONCE = 2
"""Trials that run side by side, each on a stack of its own."""

VICTIMS = {"embedded": "gpurig.cli", "pulumi": "pulumi up"}
"""What the command line of the process to kill contains."""

COUNTING_PODMAN = """\
#!/bin/sh
folder=$(dirname "$0")
call=$(($(cat "$folder/$KILL_NAME" 2>/dev/null || echo 0) + 1))
echo $call >"$folder/$KILL_NAME"
if [ $call = "$KILL_AT" ]; then
  process=$PPID
  until [ "$process" -le 1 ] || ps -o command= -p "$process" | grep -q -- "$KILL_WHO"; do
    process=$(ps -o ppid= -p "$process" | tr -d ' ')
  done
  [ "$process" -gt 1 ] || process=$PPID # rig itself, before it has started Pulumi
  kill -9 "$process"
  [ "$KILL_WHEN" = during ] || exit 1
  sleep 0.3
fi
exec REAL_PODMAN "$@"
"""


@dataclass(frozen=True)
class Trial:
    """One kill: at which call of podman, and whether that call still happens."""

    call: int
    when: str

    def __str__(self) -> str:
        return f"{self.when}-{self.call}"


@pytest.fixture(params=sorted(VICTIMS))
def project(request: pytest.FixtureRequest, new_project: Callable[[str], Project]) -> Project:
    """A project on each engine in turn."""
    return new_project(request.param)


@pytest.fixture
def bare(host_image: str) -> dict[str, Any]:
    """The quickest host there is."""
    return {"provider": "container", "init": "none", "image": host_image}


@pytest.fixture(scope="session")
def other_image(host_image: str) -> Iterator[str]:
    """The host image by another name: for gpurig, another configuration of a host."""
    name = f"localhost/gpurig-test:{os.getpid()}"
    subprocess.run(["podman", "tag", host_image, name], check=True)
    yield name
    subprocess.run(["podman", "untag", name, name], check=True)


@pytest.fixture
def podman(tmp_path: Path) -> Path:
    """The program in front of podman."""
    program = tmp_path / "podman"
    program.write_text(COUNTING_PODMAN.replace("REAL_PODMAN", str(shutil.which("podman"))))
    program.chmod(0o755)
    return program


def up(project: Project, podman: Path, trial: Trial, stack: str, *, check: bool = True) -> Done:
    """`rig up` of a stack, killed as the trial says; call 0 kills nothing."""
    return project.rig(
        "up",
        "--yes",
        check=check,
        GPURIG_STACK=stack,
        PATH=f"{podman.parent}{os.pathsep}{os.environ['PATH']}",
        KILL_NAME=stack,
        KILL_AT=str(trial.call),
        KILL_WHEN=trial.when,
        KILL_WHO=VICTIMS[project.engine],
    )


def calls(podman: Path, stack: str) -> int:
    """How often podman was called for a stack; counts anew from now on."""
    counter = podman.with_name(stack)
    found = int(counter.read_text())
    counter.unlink()
    return found


def sweep(project: Project, total: int) -> list[Trial]:
    """A kill at every call; with Pulumi, which takes seconds to start, at every third."""
    step = 3 if project.engine == "pulumi" else 1
    return [Trial(call, "during" if call % 2 else "before") for call in range(1, total + 1, step)]


def side_by_side(trial: Callable[[Trial], None], trials: list[Trial]) -> None:
    """Run all trials; raises the first failure."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(trial, one) for one in trials]:
            done.result()


def test_killed_while_it_makes_a_host(project: Project, bare: dict[str, Any], podman: Path) -> None:
    project.configure({"one": bare}, "dry")
    up(project, podman, Trial(0, ""), "dry")
    total = calls(podman, "dry")
    assert total >= 6

    def killed(trial: Trial) -> None:
        stack = f"s{trial}"
        project.configure({"one": bare}, stack)
        assert up(project, podman, trial, stack, check=False).returncode != 0
        left = project.containers(stack).get("one")
        project.rig("up", GPURIG_STACK=stack)
        container = project.only("one", stack)
        assert left in (None, [container]), trial
        assert_one_and_reachable(project, stack)

    side_by_side(killed, sweep(project, total))


def test_killed_while_it_replaces_a_host(
    project: Project, bare: dict[str, Any], other_image: str, podman: Path
) -> None:
    changed = {"one": {**bare, "image": other_image}}
    project.configure({"one": bare}, "dry")
    project.rig("up", GPURIG_STACK="dry")
    project.configure(changed, "dry")
    up(project, podman, Trial(0, ""), "dry")
    total = calls(podman, "dry")
    assert total >= 10

    def killed(trial: Trial) -> None:
        stack = f"s{trial}"
        project.configure({"one": bare}, stack)
        project.rig("up", GPURIG_STACK=stack)
        first = project.only("one", stack)
        project.configure(changed, stack)
        assert up(project, podman, trial, stack, check=False).returncode != 0
        project.rig("up", "--yes", GPURIG_STACK=stack)
        assert project.only("one", stack) != first
        assert_one_and_reachable(project, stack)

    side_by_side(killed, sweep(project, total))


def test_killed_at_any_time(project: Project, bare: dict[str, Any]) -> None:
    hosts = {"one": bare, "two": bare}
    project.configure(hosts, "dry")
    begun = time.monotonic()
    project.rig("up", GPURIG_STACK="dry")
    seconds = time.monotonic() - begun

    def killed(trial: Trial) -> None:
        stack = f"s{trial}"
        project.configure(hosts, stack)
        process = project.start("up", GPURIG_STACK=stack)
        time.sleep(seconds * trial.call / 7)
        process.kill()
        process.communicate()
        project.rig("up", GPURIG_STACK=stack)
        assert_one_and_reachable(project, stack)

    side_by_side(killed, [Trial(part, "time") for part in range(1, 7)])


def test_a_host_left_by_a_killed_up_is_ended_once_the_configuration_drops_it(
    project: Project, bare: dict[str, Any], podman: Path
) -> None:
    project.configure({"one": bare, "two": {**bare, "memory": 1.0}}, "test")
    starting = _call_of(podman, project, "start")
    assert up(project, podman, starting, "test", check=False).returncode != 0
    assert project.containers()
    project.configure({"three": bare})
    project.rig("up", "--yes")
    assert list(project.containers()) == ["three"]
    assert not list((project.stack().dir / "intents").glob("[!.]*"))


def _call_of(podman: Path, project: Project, verb: str) -> Trial:
    """The call with which podman gets this verb, when two hosts are made."""
    log = podman.with_name("log")
    podman.write_text(podman.read_text().replace("exec ", f'echo "$1" >>{log}\nexec '))
    project.configure({"one": {"provider": "container", "init": "none"}}, "dry")
    up(project, podman, Trial(0, ""), "dry")
    return Trial(log.read_text().split().index(verb) + 1, "during")


def assert_one_and_reachable(project: Project, stack: str) -> None:
    """Every configured host has one container, recorded, and lets us in."""
    place = project.stack(stack)
    containers = project.containers(stack)
    for record in (json.loads(path.read_text()) for path in (place.dir / "hosts").glob("*.json")):
        assert containers.pop(record["name"]) == [record["id"]]
        project.run("ssh", "-F", str(place.dir / "ssh_config"), record["name"], "true", check=True)
    assert containers == {}
    project.remove(f"label=gpurig.stack={stack}")
