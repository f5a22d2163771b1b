"""The life cycle against a simulated provider; the real one is tested in tests/e2e."""

from __future__ import annotations

import json

import pytest

from gpurig import gate, lifecycle, providers, records, settle
from gpurig.errors import ResultsAtRiskError, RigError
from gpurig.host import Host
from gpurig.stack import Stack
from tests.unit.simulated import Cloud, Killed, MemorySpec

STEPS = ["before create", "after create", "before prepare", "after prepare"]


def ensure(stack: Stack, **keys: object) -> Host:
    return lifecycle.ensure(stack, "a", MemorySpec(**keys), report=lambda _: None)  # type: ignore[arg-type]  # keys vary


def end(stack: Stack) -> None:
    lifecycle.end(stack, "a", ["memory"], report=lambda _: None)


def note_run(stack: Stack, results: str | None) -> None:
    folder = gate.runs_dir(stack, "a") / "run-1"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"results": results}))


def test_a_second_ensure_changes_nothing(stack: Stack, cloud: Cloud) -> None:
    first = ensure(stack)
    assert ensure(stack) == first
    assert cloud.made == ["gpurig.unit.test.a.1"]


@pytest.mark.parametrize("step", STEPS)
def test_killed_anywhere_the_next_run_leaves_exactly_one_machine(stack: Stack, cloud: Cloud, step: str) -> None:
    cloud.dies = step
    with pytest.raises(Killed):
        ensure(stack)
    host = ensure(stack)
    assert [machine.id for machine in cloud.listed] == [host.id]
    assert len(cloud.made) == 1


@pytest.mark.parametrize("step", STEPS[1:])
def test_killed_anywhere_the_host_can_be_ended_without_a_record(stack: Stack, cloud: Cloud, step: str) -> None:
    cloud.dies = step
    with pytest.raises(Killed):
        ensure(stack)
    assert records.intents(stack) == {"a": ("memory",)}
    end(stack)
    assert (cloud.listed, records.intents(stack)) == ([], {})


def test_a_changed_fixed_key_makes_another_generation(stack: Stack, cloud: Cloud) -> None:
    ensure(stack)
    host = ensure(stack, kind="large")
    assert (host.generation, host.label) == (2, "gpurig.unit.test.a.2")
    assert [machine.id for machine in cloud.listed] == [host.id]


def test_a_changed_other_key_keeps_the_machine(stack: Stack, cloud: Cloud) -> None:
    first = ensure(stack)
    assert ensure(stack, size=2).id == first.id


def test_extra_machines_of_the_same_host_are_ended(stack: Stack, cloud: Cloud) -> None:
    host = ensure(stack)
    (machine,) = cloud.listed
    cloud.listed.append(type(machine)("stray", machine.owner, 0, machine.fingerprint, running=True))
    ensure(stack)
    assert [found.id for found in cloud.listed] == [host.id]


def test_machines_of_another_stack_are_not_touched(stack: Stack, cloud: Cloud) -> None:
    other = Stack(project="unit", name="other", root=stack.root, home=stack.home)
    ensure(other)
    ensure(stack)
    end(stack)
    assert [machine.owner.stack for machine in cloud.listed] == ["other"]


@pytest.mark.parametrize("step", ["before end", "after end"])
def test_a_killed_end_is_completed_by_the_next(stack: Stack, cloud: Cloud, step: str) -> None:
    ensure(stack)
    cloud.dies = step
    with pytest.raises(Killed):
        end(stack)
    assert records.get(stack, "a")
    end(stack)
    assert (cloud.listed, records.load(stack)) == ([], {})


def test_an_end_is_repeated_until_the_listing_confirms_it(stack: Stack, cloud: Cloud) -> None:
    ensure(stack)
    cloud.keeps = 2
    end(stack)
    assert cloud.listed == []


def test_an_end_that_is_never_confirmed_is_not_called_done(
    stack: Stack, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(stack)
    monkeypatch.setattr(settle, "END_SECONDS", 0.0)
    cloud.keeps = 10
    with pytest.raises(RigError, match="still listed"):
        end(stack)
    assert records.get(stack, "a")


def test_a_host_made_again_has_a_label_that_no_old_listing_shows(stack: Stack, cloud: Cloud) -> None:
    ensure(stack)
    end(stack)
    assert ensure(stack).label == "gpurig.unit.test.a.2"


def test_observe_sees_a_machine_that_vanished(stack: Stack, cloud: Cloud) -> None:
    host = ensure(stack)
    machine = lifecycle.observe(stack, host)
    assert machine
    assert machine.id == host.id
    cloud.listed.clear()
    assert lifecycle.observe(stack, host) is None


@pytest.mark.parametrize("results", [None, "partial"])
def test_unverified_results_shut_the_gate(stack: Stack, cloud: Cloud, results: str | None) -> None:
    ensure(stack)
    note_run(stack, results)
    with pytest.raises(ResultsAtRiskError, match="run-1"):
        end(stack)
    with pytest.raises(ResultsAtRiskError, match="run-1"):
        ensure(stack, kind="large")
    assert len(cloud.listed) == 1


@pytest.mark.parametrize("results", ["verified", "discarded"])
def test_verified_results_open_the_gate(stack: Stack, cloud: Cloud, results: str) -> None:
    ensure(stack)
    note_run(stack, results)
    end(stack)
    assert cloud.listed == []


def test_results_can_be_given_up_by_name_only(stack: Stack, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure(stack)
    note_run(stack, None)
    monkeypatch.setenv(gate.DISCARD, "another")
    with pytest.raises(ResultsAtRiskError):
        end(stack)
    monkeypatch.setenv(gate.DISCARD, "a")
    end(stack)
    assert cloud.listed == []


def test_compare_tells_what_a_change_asks_for(cloud: Cloud) -> None:
    old = MemorySpec().normalised()
    assert lifecycle.compare(old, old).kind == "none"
    assert lifecycle.compare(old, {**old, "size": 2}) == lifecycle.Change("update", ("size",))
    assert lifecycle.compare(old, {**old, "size": 2, "kind": "x"}) == lifecycle.Change(
        "replace", ("kind", "size"), ("kind",)
    )


def test_what_another_provider_was_interrupted_over_is_ended_there(
    stack: Stack, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Cloud(dies="after create")
    monkeypatch.setattr(providers, "provider", lambda name: elsewhere if name == "elsewhere" else cloud)
    with pytest.raises(Killed):
        lifecycle.ensure(stack, "a", MemorySpec.model_construct(provider="elsewhere"), report=print)
    assert len(elsewhere.listed) == 1
    ensure(stack)
    assert (elsewhere.listed, len(cloud.listed)) == ([], 1)
