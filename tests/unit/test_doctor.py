from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gpurig import config, doctor, lifecycle, reach, records, runs
from gpurig.doctor import Finding, machine, way
from gpurig.errors import ConfigError
from gpurig.providers import Machine, Owner
from gpurig.providers.container import doctor as container
from gpurig.reach import UnreachableError
from gpurig.stack import Stack, home, private_dir
from tests.unit.far import FarAway, far_away
from tests.unit.test_runs import RUN


@pytest.fixture
def far(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FarAway:
    monkeypatch.setenv("PATH", os.environ["PATH"])
    listed = Machine("id-far", Owner("unit", "test", "far"), 1, "print", running=True)
    monkeypatch.setattr(lifecycle, "observe", lambda *_: listed)
    monkeypatch.setattr(reach, "probe_port", lambda *_: None)
    monkeypatch.setattr(reach, "check", lambda *_: None)
    return far_away(stack, tmp_path)


def levels(findings: Iterator[Finding]) -> dict[str, str]:
    return {finding.what: finding.level for finding in findings}


def test_the_gravest_level_decides() -> None:
    ok, warn, fail = Finding("OK", "a", ""), Finding("WARN", "b", ""), Finding("FAIL", "c", "")
    assert [doctor.worst(found) for found in ([], [ok], [ok, warn], [warn, fail, ok])] == ["OK", "OK", "WARN", "FAIL"]


def test_the_whole_way_to_a_host_that_is_well(far: FarAway) -> None:
    assert levels(way.examine(far.place.stack, "far")) == dict.fromkeys(
        ["record", "provider's listing", "network", "login", "disk", "runs"], "OK"
    )


def test_the_walk_ends_where_the_way_does(far: FarAway, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise UnreachableError("nothing listens there", lasting=False)

    monkeypatch.setattr(reach, "probe_port", refused)
    *_, last = way.examine(far.place.stack, "far")
    assert (last.level, last.what, last.found) == ("FAIL", "network", "nothing listens there")


@pytest.mark.parametrize(
    ("listed", "says"),
    [(None, "it is gone"), (Machine("id-far", Owner("unit", "test", "far"), 1, "print", running=False), "not running")],
)
def test_a_machine_that_is_gone_or_stopped(
    far: FarAway, monkeypatch: pytest.MonkeyPatch, listed: Machine | None, says: str
) -> None:
    monkeypatch.setattr(lifecycle, "observe", lambda *_: listed)
    *_, last = way.examine(far.place.stack, "far")
    assert last.level == "FAIL"
    assert says in last.found
    assert "`rig up`" in last.advice


def test_an_unknown_host_and_one_of_an_interrupted_up(stack: Stack) -> None:
    records.intend(stack, "half", ["memory"])
    assert [next(way.examine(stack, name)).found for name in ("nobody", "half")] == [
        "none",
        "an interrupted `rig up` may have left a machine",
    ]


def test_what_shall_run_there_is_looked_for(far: FarAway) -> None:
    stack = far.place.stack
    records.save(
        stack,
        replace(
            far.place.host,
            environments=("starter",),
            services=("jupyter",),
            variables={"services_ports": {"jupyter": 1}},
        ),
    )
    found = {finding.what: finding for finding in way.examine(stack, "far")}
    assert found["environment starter"].level == "FAIL"
    assert found["service jupyter"].found == "nothing listens at 127.0.0.1:1 there"
    assert "site.yml --limit far" in found["service jupyter"].advice


def test_a_lost_run_is_worth_a_warning(far: FarAway) -> None:
    runs.save(far.place.stack, replace(RUN, label=far.place.host.label))
    *_, last = way.examine(far.place.stack, "far")
    assert (last.level, RUN.id in last.found) == ("WARN", True)


def test_this_machine_has_what_the_tests_need(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "examine", lambda *, needed: iter([Finding("OK", "podman", f"needed: {needed}")]))
    stack.file.write_text("config:\n  gpurig:hosts: {}\n")
    found = {finding.what: finding for finding in machine.examine(stack, config.load)}
    assert found["Python packages"].level == "OK", found["Python packages"].found
    assert [found[what].level for what in ("configuration", "Python", "ssh", "rsync", "GPURIG_HOME")] == ["OK"] * 5
    assert found["podman"].found == "needed: False"


def test_a_wrong_configuration_is_a_finding_not_a_crash(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "examine", lambda *, needed: iter(()))

    def wrong(_: Stack) -> object:
        raise ConfigError("Pulumi.test.yaml: wrong")

    first = next(machine.examine(stack, wrong))  # type: ignore[arg-type]  # it never returns
    assert (first.level, first.found) == ("FAIL", "Pulumi.test.yaml: wrong")


def test_an_interrupted_up_is_worth_a_warning(stack: Stack) -> None:
    stack.file.write_text("config:\n  gpurig:hosts: {}\n")
    records.intend(stack, "half", ["memory"])
    first = next(machine.examine(stack, config.load))
    assert (first.level, first.found) == ("WARN", "an interrupted `rig up` left half")


def test_a_home_that_others_can_read_is_a_failure(stack: Stack) -> None:
    private_dir(home()).chmod(0o755)
    found = {finding.what: finding for finding in machine.examine(None, lambda _: None)}  # type: ignore[arg-type, return-value]  # not asked without a stack
    assert found["GPURIG_HOME"].level == "FAIL"
    assert "chmod 700" in found["GPURIG_HOME"].advice


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ("rsync  version 3.2.7  protocol version 31", "OK"),
        ("rsync version v3.4.1", "OK"),
        ("openrsync: protocol version 29", "FAIL"),
        ("rsync  version 2.6.9", "FAIL"),
    ],
)
def test_an_rsync_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch, version: str, level: str) -> None:
    monkeypatch.setattr(machine, "first_line", lambda *_: version)
    assert machine.rsync().level == level


def test_a_missing_program_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.program("rsync", "--version") == Finding("FAIL", "rsync", "missing", "`make setup` installs it.")
    assert [finding.level for finding in container.examine(needed=True)] == ["FAIL"]
    assert [finding.level for finding in container.examine(needed=False)] == ["WARN"]
