"""The embedded engine's decisions, on a simulated provider."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from gpurig import engine, gate, records
from gpurig.config import StackConfig
from gpurig.errors import ConfigError, RigError
from gpurig.stack import Stack
from tests.unit.simulated import Cloud, Killed, MemorySpec


def hosts(**specs: MemorySpec) -> StackConfig:
    return StackConfig.model_construct(hosts=dict(specs), secrets={})


def silent(_: str) -> None:
    pass


def actions(steps: list[engine.Step]) -> dict[str, str]:
    return {step.host: step.action for step in steps}


def test_preview_says_what_up_then_does(stack: Stack, cloud: Cloud) -> None:
    engine.up(stack, hosts(a=MemorySpec(), b=MemorySpec(), c=MemorySpec(), d=MemorySpec()), report=silent)
    wanted = hosts(a=MemorySpec(), b=MemorySpec(size=2), c=MemorySpec(kind="large"), e=MemorySpec())
    expected = {"a": "same", "b": "update", "c": "replace", "d": "end", "e": "create"}
    assert actions(engine.preview(stack, wanted)) == expected
    before = {machine.owner.host: machine.id for machine in cloud.listed}
    assert actions(engine.up(stack, wanted, report=silent)) == expected
    after = {machine.owner.host: machine.id for machine in cloud.listed}
    assert set(after) == {"a", "b", "c", "e"}
    assert {name for name in before if before[name] == after.get(name)} == {"a", "b"}


def test_a_host_that_fails_does_not_stop_the_others(
    stack: Stack, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Cloud.create

    def fail_for_a(self: Cloud, order: object) -> None:
        if order.owner.host == "a":  # type: ignore[attr-defined]  # an Order
            raise RigError("no capacity")
        create(self, order)  # type: ignore[arg-type]  # an Order

    monkeypatch.setattr(Cloud, "create", fail_for_a)
    with pytest.raises(RigError, match="a: no capacity"):
        engine.up(stack, hosts(a=MemorySpec(), b=MemorySpec()), report=silent)
    assert list(records.load(stack)) == ["b"]


def test_a_host_left_by_a_killed_up_is_ended_once_the_configuration_drops_it(stack: Stack, cloud: Cloud) -> None:
    cloud.dies = "after create"
    with pytest.raises(Killed):
        engine.up(stack, hosts(a=MemorySpec()), report=silent)
    engine.up(stack, hosts(), report=silent)
    assert cloud.listed == []


def test_a_host_whose_change_was_interrupted_is_seen_to_even_if_the_change_was_taken_back(
    stack: Stack, cloud: Cloud
) -> None:
    engine.up(stack, hosts(a=MemorySpec(size=1)), report=silent)
    cloud.dies = "after prepare"
    with pytest.raises(Killed):
        engine.up(stack, hosts(a=MemorySpec(size=2)), report=silent)
    assert actions(engine.up(stack, hosts(a=MemorySpec(size=1)), report=silent)) == {"a": "update"}
    assert actions(engine.up(stack, hosts(a=MemorySpec(size=1)), report=silent)) == {"a": "same"}


def test_a_replacement_keeps_to_its_host_and_passes_the_gate(stack: Stack, cloud: Cloud) -> None:
    config = hosts(a=MemorySpec(), b=MemorySpec())
    engine.up(stack, config, report=silent)
    before = {name: host.id for name, host in records.load(stack).items()}
    engine.replace(stack, config, "a", report=silent)
    after = {name: host.id for name, host in records.load(stack).items()}
    assert (after["a"] != before["a"], after["b"] == before["b"]) == (True, True)
    run = gate.runs_dir(stack, "a") / "r1"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    with pytest.raises(RigError, match="results of r1"):
        engine.replace(stack, config, "a", report=silent)
    with pytest.raises(RigError, match=r"No host 'c' in Pulumi.test.yaml. Hosts there: a, b\."):
        engine.replace(stack, config, "c", report=silent)
    assert {name: host.id for name, host in records.load(stack).items()} == after


def test_down_ends_recorded_and_interrupted_hosts(stack: Stack, cloud: Cloud) -> None:
    engine.up(stack, hosts(a=MemorySpec()), report=silent)
    cloud.dies = "after create"
    with pytest.raises(Killed):
        engine.up(stack, hosts(a=MemorySpec(), b=MemorySpec()), report=silent)
    assert engine.down(stack, None, report=silent) == ["a", "b"]
    assert cloud.listed == []


def test_down_of_an_unknown_host_says_which_there_are(stack: Stack, cloud: Cloud) -> None:
    engine.up(stack, hosts(a=MemorySpec()), report=silent)
    with pytest.raises(RigError, match=r"No host b in stack test\. Hosts: a\."):
        engine.down(stack, ["b"], report=silent)


def test_nothing_changes_while_one_hosts_results_are_at_risk(stack: Stack, cloud: Cloud) -> None:
    engine.up(stack, hosts(a=MemorySpec(), b=MemorySpec()), report=silent)
    run = gate.runs_dir(stack, "b") / "r"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({}))
    with pytest.raises(RigError, match="results of r"):
        engine.down(stack, None, report=silent)
    with pytest.raises(RigError, match="results of r"):
        engine.up(stack, hosts(c=MemorySpec()), report=silent)
    assert {machine.owner.host for machine in cloud.listed} == {"a", "b"}


def test_refresh_forgets_what_the_provider_no_longer_lists(stack: Stack, cloud: Cloud) -> None:
    engine.up(stack, hosts(a=MemorySpec(), b=MemorySpec()), report=silent)
    cloud.listed = [machine for machine in cloud.listed if machine.owner.host == "b"]
    assert engine.refresh(stack, report=silent) == ["a"]
    assert list(records.load(stack)) == ["b"]


def test_up_makes_what_vanished_again_and_starts_what_was_stopped(stack: Stack, cloud: Cloud) -> None:
    wanted = hosts(a=MemorySpec(), b=MemorySpec())
    engine.up(stack, wanted, report=silent)
    first = {machine.owner.host: machine for machine in cloud.listed}
    cloud.listed = [replace(first["b"], running=False)]
    assert actions(engine.up(stack, wanted, report=silent)) == {"a": "create", "b": "start"}
    assert [machine.running for machine in cloud.listed] == [True, True]
    assert records.require(stack, "a").generation == 2
    assert records.require(stack, "b").id == first["b"].id


def test_a_host_that_refresh_forgot_comes_back_as_another_generation(stack: Stack, cloud: Cloud) -> None:
    engine.up(stack, hosts(a=MemorySpec()), report=silent)
    cloud.listed.clear()
    engine.refresh(stack, report=silent)
    engine.up(stack, hosts(a=MemorySpec()), report=silent)
    assert records.require(stack, "a").generation == 2


def test_a_second_up_at_once_is_refused_and_names_the_first(stack: Stack, cloud: Cloud) -> None:
    with engine.exclusive(stack), pytest.raises(ConfigError, match=rf"Another `rig` .* \(process {os.getpid()}\)"):
        engine.up(stack, hosts(), report=silent)
