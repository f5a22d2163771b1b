"""What must be true of both engines, with real containers. Pulumi's half runs where its CLI is found."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Project, podman_in_front

ENGINES = ("embedded", "pulumi")
BARE = {"provider": "container", "init": "none"}


@pytest.fixture(params=ENGINES)
def project(request: pytest.FixtureRequest, new_project: Callable[[str], Project]) -> Project:
    """A project on each engine in turn."""
    return new_project(request.param)


@pytest.fixture
def bare(host_image: str) -> dict[str, Any]:
    """The quickest host there is."""
    return {**BARE, "image": host_image}


def actions(done: Any) -> dict[str, str]:
    """Host → what `rig --json up` or `preview` says is done to it."""
    return {step["host"]: step["action"] for step in json.loads(done.stdout)}


def test_hosts_are_made_recorded_and_reached(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": {"provider": "container"}})
    project.rig("up")
    records = {path.stem: json.loads(path.read_text()) for path in (project.stack().dir / "hosts").glob("*.json")}
    assert {name: [record["id"]] for name, record in records.items()} == project.containers()
    for name, record in records.items():
        answer = project.run("ssh", "-F", str(project.stack().dir / "ssh_config"), name, "hostname; whoami", check=True)
        assert answer.stdout.split() == [name, record["endpoint"]["user"]]
    assert (project.stack().dir / "hosts" / "one.json").stat().st_mode & 0o077 == 0


def test_a_second_up_changes_nothing(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": {**bare, "variables": {"whole": 5, "part": 1.5, "nothing": None}}})
    project.rig("up")
    before, records = project.containers(), record_files(project)
    assert actions(project.rig("--json", "up")) == {"one": "same", "two": "same"}
    assert project.containers() == before
    assert record_files(project) == records


def test_limits_are_added_changed_put_back_and_lifted_on_the_living_host(
    project: Project, bare: dict[str, Any]
) -> None:
    """`podman inspect` tells what the container was made with; its control group tells what holds."""
    group = "cd /sys/fs/cgroup; cat memory.max memory/memory.limit_in_bytes 2>/dev/null || true"
    project.configure({"one": bare})
    project.rig("up")
    container = project.only("one")
    for limits, expected in (
        ({"cpus": 1}, None),
        ({"memory": 1.5}, 1.5),
        ({"memory": 2.5}, 2.5),
        ({"memory": 1.5}, 1.5),
        ({}, None),
    ):
        project.configure({"one": {**bare, **limits}})
        assert actions(project.rig("--json", "preview")) == {"one": "update"}
        project.rig("up")
        assert project.only("one") == container
        said = project.podman("exec", container, "sh", "-c", group).strip()
        held = float("inf") if said == "max" else int(said) / 1e9
        assert held > 3 if expected is None else abs(held - expected) < 0.001


def test_a_changed_init_replaces_exactly_that_host(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": bare})
    project.rig("up")
    before, port = project.containers(), port_of(project, "one")
    project.configure({"one": {**bare, "init": "systemd"}, "two": bare})
    assert actions(project.rig("--json", "preview")) == {"one": "replace", "two": "same"}
    project.rig("up", "--yes")
    assert project.only("one") not in before["one"]
    assert project.containers()["two"] == before["two"]
    assert project.inspect(project.only("one"))["Name"].endswith(".one.2")
    assert port_of(project, "one") == port


def test_a_host_that_is_configured_no_more_is_ended(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": bare})
    project.rig("up")
    project.configure({"two": bare})
    project.rig("up", "--yes")
    assert list(project.containers()) == ["two"]
    assert list(record_files(project)) == ["two.json"]


def test_a_container_deleted_behind_our_back_is_seen_and_made_again(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": bare})
    project.rig("up")
    two = project.only("two")
    project.remove("label=gpurig.host=one")
    assert json.loads(project.rig("--json", "refresh").stdout) == {"gone": ["one"]}
    assert list(record_files(project)) == ["two.json"]
    project.rig("up")
    assert project.inspect(project.only("one"))["Name"].endswith(".one.2")
    assert project.only("two") == two


def test_up_alone_makes_a_deleted_host_again_and_starts_a_stopped_one(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": bare})
    project.rig("up")
    two = project.only("two")
    project.remove("label=gpurig.host=one")
    project.podman("stop", "--time=0", two)
    project.rig("up")
    assert project.only("two") == two
    assert all(project.inspect(project.only(host))["State"]["Running"] for host in ("one", "two"))


def test_down_ends_one_host_or_all(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": bare, "three": bare})
    project.rig("up")
    project.rig("down", "two", "--yes")
    assert sorted(project.containers()) == ["one", "three"]
    unknown = project.rig("down", "four", "--yes", check=False)
    assert unknown.returncode == 2
    assert "one, three" in unknown.stderr
    project.rig("down", "--yes")
    assert project.containers() == {}
    assert record_files(project) == {}


def test_a_host_with_results_that_are_nowhere_else_is_not_ended(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": bare})
    project.rig("up")
    before = project.containers()
    run = project.stack().dir / "runs" / "one" / "r1"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    refused = project.rig("down", "--yes", check=False)
    assert refused.returncode == 1
    assert "results of r1 were not brought back" in refused.stderr
    project.configure({"one": {**bare, "init": "systemd"}})
    assert project.rig("up", "--yes", check=False).returncode == 1
    assert project.containers() == before  # nothing at all was done, also not to `two`
    project.rig("down", "--yes", GPURIG_DISCARD_RESULTS="one")
    assert project.containers() == {}


def test_several_hosts_go_up_side_by_side(
    project: Project, bare: dict[str, Any], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    hosts = dict.fromkeys(("one", "two", "three"), bare)
    log = tmp_path / "log"
    slow_start = f'[ "$1" = start ] && {{ echo + >>{log}; sleep 1; echo - >>{log}; }}'
    project.configure(hosts)
    begun = time.monotonic()
    project.rig("up", PATH=podman_in_front(tmp_path, slow_start))
    record_property("seconds for three hosts, each made to start 1 s slower", round(time.monotonic() - begun, 1))
    assert "".join(log.read_text().split()).startswith("++")
    assert sorted(project.containers()) == sorted(hosts)


def test_a_host_that_fails_does_not_stop_the_others(project: Project, bare: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        project.configure({"bad": {**bare, "port": port}, "one": bare, "two": bare})
        failed = project.rig("up", check=False, PULUMI_PARALLEL="1")  # none is under way when `bad` fails
    assert failed.returncode == 1
    last = failed.stderr.strip().splitlines()[-1]
    assert last == (
        f"Pulumi.test.yaml: gpurig:hosts.bad.port: {port} is in use on 127.0.0.1; "
        "write another port, or remove the key and a free one is chosen."
    )
    assert "Traceback" not in failed.stderr
    assert sorted(project.containers()) == ["one", "two"]
    project.rig("up")  # the port is free now
    assert sorted(project.containers()) == ["bad", "one", "two"]


def test_a_stopped_host_whose_port_was_taken_is_kept(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare})
    project.rig("up")
    container = project.only("one")
    project.podman("stop", "--time=0", container)
    with socket.create_server(("127.0.0.1", port_of(project, "one"))):
        failed = project.rig("up", check=False)
    assert failed.returncode == 1
    assert "one: the port that it had is in use on 127.0.0.1 now" in failed.stderr
    assert project.only("one") == container
    project.rig("up")  # the port is free now
    assert project.only("one") == container


def test_two_ups_at_once_leave_one_container_for_each_host(project: Project, bare: dict[str, Any]) -> None:
    project.configure({"one": bare, "two": bare})
    first, second = project.start("up"), project.start("up")
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    codes = sorted(process.returncode for process in (first, second))
    refused = [output for output in outputs if f"Another `rig` is working on stack {project.stack().name}" in output]
    assert (codes, len(refused)) in (([0, 2], 1), ([0, 0], 0)), outputs
    assert {host: len(containers) for host, containers in project.containers().items()} == {"one": 1, "two": 1}


def test_without_podman_it_says_what_to_do(project: Project, bare: dict[str, Any], tmp_path: Path) -> None:
    project.configure({"one": bare})
    failed = project.rig("up", check=False, PATH=path_without("podman", tmp_path))
    assert failed.returncode == 1
    assert failed.stderr.strip().splitlines()[-1] == "one: Podman is missing: run `make setup`."
    project.rig("up")
    assert project.only("one")


def test_every_mistake_is_reported_before_anything_is_done(project: Project) -> None:
    project.configure({"One": {"provider": "contaner"}, "two": {"provider": "container", "cpu": 3}}, hots={})
    failed = project.rig("up", check=False)
    assert failed.returncode == 2
    for mistake in ("'contaner'", "gpurig:hosts.two.cpu: unknown key", "gpurig:hots: unknown key"):
        assert mistake in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (project.home / project.name).exists()
    assert not list((project.root / "state").iterdir())


@pytest.mark.parametrize(("first", "second"), [ENGINES, ENGINES[::-1]])
def test_hosts_of_one_engine_are_taken_over_by_the_other(
    new_project: Callable[[str], Project], bare: dict[str, Any], first: str, second: str
) -> None:
    project = new_project("pulumi")
    project.configure({"one": bare, "two": bare})
    project.rig("up", GPURIG_ENGINE=first)
    before, records = project.containers(), record_files(project)
    project.rig("up", GPURIG_ENGINE=second)
    assert project.containers() == before
    assert record_files(project) == records

    project.configure({"one": {**bare, "memory": 1.5}, "three": bare})
    project.rig("up", "--yes", GPURIG_ENGINE=second)
    assert sorted(project.containers()) == ["one", "three"]
    assert project.containers()["one"] == before["one"]

    project.configure({"one": {**bare, "init": "systemd"}, "three": bare})
    project.rig("up", "--yes", GPURIG_ENGINE=first)
    replaced = project.containers()
    assert actions(project.rig("--json", "up", GPURIG_ENGINE=second)) == {"one": "same", "three": "same"}
    assert project.containers() == replaced
    project.rig("down", "--yes", GPURIG_ENGINE=second)
    assert project.containers() == {}
    project.rig("up", GPURIG_ENGINE=first)
    assert sorted(project.containers()) == ["one", "three"]


def port_of(project: Project, host: str) -> int:
    """The recorded SSH port."""
    return int(json.loads((project.stack().dir / "hosts" / f"{host}.json").read_text())["endpoint"]["port"])


def record_files(project: Project) -> dict[str, str]:
    """File name → content of every Host record."""
    return {path.name: path.read_text() for path in (project.stack().dir / "hosts").glob("*.json")}


def path_without(program: str, folder: Path) -> str:
    """A PATH with everything of this machine's but one program."""
    only = folder / "only"
    only.mkdir()
    for place in map(Path, os.environ["PATH"].split(os.pathsep)):
        for found in place.iterdir() if place.is_dir() else ():
            if found.name != program and not (only / found.name).exists():
                (only / found.name).symlink_to(found)
    return str(only)
