"""The Pulumi program with Pulumi's own mocks: what it registers and exports, and what it says about mistakes."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pulumi
import pytest
from pulumi.runtime import config as pulumi_config
from pulumi.runtime import mocks

from gpurig import records
from gpurig.catalogue import ROOT
from gpurig.stack import Stack

PROJECT, STACK = "mocked", "test"
SECRET = "not-for-anybodys-eyes"
BY_PROVIDER: dict[str, dict[str, Any]] = {
    "container": {"provider": "container", "init": "none", "memory": 1.5, "ca_bundle": None, "variables": {"n": None}},
    "workstation": {"provider": "workstation", "address": "192.0.2.7", "user": "me", "environments": ["starter"]},
    "windows": {
        "provider": "workstation",
        "os": "windows-wsl2",
        "address": "192.0.2.7",
        "user": "John Smith",
        "allow_from": ["192.0.2.0/24"],
        "ports": {"8000": "192.0.2.0/24"},
        "power": {"sleep": None, "fast_startup": False, "wake_on_lan": None},
    },
}


class Engine(mocks.Mocks):
    """Answers as engine and provider do: every host is made, with a record that says so."""

    def __init__(self) -> None:
        self.types: set[str] = set()
        self.inputs: dict[str, dict[str, Any]] = {}
        self.exports: dict[str, Any] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        self.types.add(args.typ)
        self.inputs[args.name] = args.inputs
        record = {"schema": 1, "name": args.name, "spec": json.loads(args.inputs["spec"])}
        return f"{PROJECT}/{STACK}/{args.name}", {**args.inputs, "record": json.dumps(record)}

    def call(self, args: mocks.MockCallArgs) -> NoReturn:
        raise AssertionError(f"the program calls no function, but {args.token}")


Run = Callable[..., Engine]


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack that the program is run for."""
    (tmp_path / "Pulumi.yaml").write_text(f"name: {PROJECT}\nruntime: python\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPURIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VAST_API_KEY", "from-the-environment")
    return Stack(PROJECT, STACK, tmp_path, tmp_path / "home")


@pytest.fixture
def run(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `__main__.py` with a configuration as Pulumi hands it over: decrypted text."""

    def made(values: Mapping[str, Any], *, secret: tuple[str, ...] = (), preview: bool = False) -> Engine:
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
        engine, exports = Engine(), dict[str, pulumi.Output[Any]]()
        monkeypatch.setattr(pulumi, "export", exports.__setitem__)
        mocks.set_mocks(engine, project=PROJECT, stack=STACK, preview=preview)
        pulumi_config.set_all_config(texts, list(secret))

        def program() -> pulumi.Output[None]:
            runpy.run_path(str(ROOT / "__main__.py"))
            return pulumi.Output.all(**exports).apply(engine.exports.update)

        pulumi.runtime.test(program)()  # type: ignore[no-untyped-call]  # Pulumi's own
        return engine

    return made


@pytest.mark.parametrize("provider", sorted(BY_PROVIDER))
def test_every_configured_host_becomes_a_resource_and_its_record_an_output(run: Run, provider: str) -> None:
    spec = BY_PROVIDER[provider]
    other = spec | ({"address": "192.0.2.8"} if "address" in spec else {})
    engine = run({"gpurig:hosts": {"one": other, "two": spec}, "aws:region": "eu-central-1"})
    assert engine.types == {"pulumi-python:dynamic/gpurig:Host"}
    assert sorted(engine.inputs) == sorted(engine.exports["hosts"]) == ["one", "two"]
    for name, record in engine.exports["hosts"].items():
        assert (record["schema"], record["name"]) == (1, name)
    written = engine.exports["hosts"]["two"]["spec"]
    assert written == written | spec  # null values too


def test_a_resource_holds_what_names_the_host_and_its_configuration_only(run: Run, stack: Stack) -> None:
    engine = run({"gpurig:hosts": {"one": BY_PROVIDER["container"]}})
    inputs = engine.inputs["one"]
    assert {key for key, value in inputs.items() if value is not None} == {
        "__provider",
        "project",
        "stack",
        "name",
        "spec",
    }
    assert (inputs["project"], inputs["stack"], inputs["name"]) == (PROJECT, STACK, "one")
    assert str(stack.home) not in str(inputs)
    assert str(stack.root) not in str(inputs)


def test_the_provider_is_pickled_by_its_name(run: Run) -> None:
    """Pickled by value, every edit of the program would be a change of every host."""
    provider = run({"gpurig:hosts": {"one": BY_PROVIDER["container"]}}).inputs["one"]["__provider"]
    assert len(provider) < 100


def test_no_secret_comes_near_a_resource_or_an_output(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAST_API_KEY")
    engine = run(
        {"gpurig:hosts": {"one": BY_PROVIDER["container"]}, "gpurig:secrets": {"VAST_API_KEY": SECRET}},
        secret=("gpurig:secrets",),
    )
    assert SECRET not in f"{engine.inputs}{engine.exports}"


def test_every_mistake_is_told_at_once(run: Run) -> None:
    hosts = {
        "One": {"provider": "container"},
        "two": {"provider": "contaner"},
        "three": {"provider": "container", "cpu": 1},
    }
    with pytest.raises(pulumi.RunError) as caught:
        run({"gpurig:hosts": hosts, "gpurig:hots": {}, "gpurig:secrets": {"VAST_API_KEY": SECRET, "lower": 5}})
    told = str(caught.value)
    for mistake in (
        "Pulumi.test.yaml: gpurig:hosts.One: not a good name",
        "gpurig:hosts.two.provider: 'contaner' is not known (did you mean 'container'?)",
        "gpurig:hosts.three.cpu: unknown key (did you mean 'cpus'?)",
        "gpurig:hots: unknown key (did you mean 'hosts'?)",
        "gpurig:secrets: not encrypted",
        "gpurig:secrets.lower",
    ):
        assert mistake in told
    assert SECRET not in told


def test_what_is_encrypted_elsewhere_is_refused(run: Run) -> None:
    """Pulumi would decrypt it, and the host's record would hold it in plain text."""
    hosts = {"one": {"provider": "container", "variables": {"token": SECRET}}}
    with pytest.raises(pulumi.RunError, match="encrypted values are read only under gpurig:secrets") as caught:
        run({"gpurig:hosts": hosts}, secret=("gpurig:hosts",))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("preview", [True, False])
def test_a_host_of_an_interrupted_run_is_ended_by_a_run_but_not_by_a_preview(
    run: Run, stack: Stack, preview: bool
) -> None:
    records.intend(stack, "left", ["workstation"])
    records.intend(stack, "kept", ["workstation"])
    run({"gpurig:hosts": {"kept": BY_PROVIDER["workstation"]}}, preview=preview)
    assert sorted(records.intents(stack)) == (["kept", "left"] if preview else ["kept"])
