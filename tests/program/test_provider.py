"""The dynamic provider through its real gRPC interface, as Pulumi's engine drives it, with real containers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from gpurig import config, records
from gpurig.program import HostProvider
from tests.projects import Project, podman_in_front

SECRET = "not-for-anybodys-eyes"
URN = "urn:pulumi:test::project::pulumi-python:dynamic/gpurig:Host::one"


class Provider:
    """The provider process of one project."""

    def __init__(self, project: Project, **environment: str) -> None:
        self.project = project
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "pulumi.dynamic"],
            cwd=project.root,
            env=project.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.channel = grpc.insecure_channel(f"127.0.0.1:{int(self.process.stdout.readline())}")
        self._stub = provider_pb2_grpc.ResourceProviderStub(self.channel)
        arguments = {"gpurig:secrets": json.dumps({"VAST_API_KEY": SECRET})}
        self._stub.Configure(provider_pb2.ConfigureRequest(args=struct(arguments)))

    def properties(self, **spec: Any) -> dict[str, Any]:
        """The inputs of host `one`, normalised as the program does it."""
        hosts = {"one": {"provider": "container", "init": "none", **spec}}
        normalised = config.parse({"hosts": hosts}, "test").hosts["one"].normalised()
        return {
            "__provider": serialize_provider(HostProvider()),
            "project": self.project.name,
            "stack": "test",
            "name": "one",
            "spec": json.dumps(normalised, sort_keys=True),
        }

    def create(self, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        made = self._stub.Create(provider_pb2.CreateRequest(urn=URN, properties=struct(inputs)))
        return made.id, plain(made.properties)

    def diff(self, olds: dict[str, Any], news: dict[str, Any]) -> Any:
        request = provider_pb2.DiffRequest(id="one", urn=URN, olds=struct(olds), news=struct(news))
        return self._stub.Diff(request)

    def update(self, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(id="one", urn=URN, olds=struct(olds), news=struct(news))
        return plain(self._stub.Update(request).properties)

    def read(self, olds: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        found = self._stub.Read(provider_pb2.ReadRequest(id="one", urn=URN, properties=struct(olds)))
        return found.id, plain(found.properties)

    def delete(self, olds: dict[str, Any]) -> None:
        self._stub.Delete(provider_pb2.DeleteRequest(id="one", urn=URN, properties=struct(olds)))

    def close(self) -> str:
        """End the process; returns what it wrote for the user to see."""
        self.channel.close()
        self.process.terminate()
        with self.process:
            assert self.process.stderr
            return self.process.stderr.read()


@pytest.fixture
def start(new_project: Callable[[str], Project]) -> Iterator[Callable[..., Provider]]:
    """Starts provider processes."""
    started: list[Provider] = []

    def made(**environment: str) -> Provider:
        started.append(Provider(new_project("embedded"), **environment))
        return started[-1]

    yield made
    for provider in started:
        if provider.process.returncode is None:
            provider.close()


@pytest.fixture
def provider(start: Callable[..., Provider]) -> Provider:
    """A provider process of a project of its own."""
    return start()


SAME, CHANGED = provider_pb2.DiffResponse.DIFF_NONE, provider_pb2.DiffResponse.DIFF_SOME


def test_a_host_lives_its_life(provider: Provider, host_image: str) -> None:
    inputs = provider.properties(image=host_image)
    identity, outputs = provider.create(inputs)
    assert identity == f"{provider.project.name}/test/one"
    assert outputs["__provider"] == inputs["__provider"]
    assert outputs["spec"] == inputs["spec"]
    record = json.loads(outputs["record"])
    assert provider.project.containers() == {"one": [record["id"]]}
    assert provider.diff(outputs, inputs).changes == SAME
    assert provider.read(outputs) == ("one", outputs)

    more = provider.properties(image=host_image, memory=1.5)
    asked = provider.diff(outputs, more)
    assert (asked.changes, list(asked.replaces)) == (CHANGED, [])
    updated = provider.update(outputs, more)
    assert json.loads(updated["record"])["id"] == record["id"]
    assert provider.diff(updated, more).changes == SAME

    other = provider.diff(updated, provider.properties(image=host_image, init="systemd"))
    assert (other.changes, list(other.replaces), other.deleteBeforeReplace) == (CHANGED, ["spec"], True)

    provider.delete(updated)
    assert provider.project.containers() == {}
    provider.delete(updated)  # again, after an answer that was lost
    told = [line for line in provider.close().splitlines() if "waiting for SSH" not in line]
    assert told == [
        f"one: making {record['label']}",
        "one: init cannot be changed on it: it is ended, with its disk and all that is on it",
        f"one: ending {record['label']}",
    ]


def test_what_changed_without_pulumi_is_a_difference(provider: Provider, host_image: str) -> None:
    inputs = provider.properties(image=host_image)
    _, outputs = provider.create(inputs)
    stack = provider.project.stack()
    host = records.require(stack, "one")

    records.intend(stack, "one", ["container"])  # an interrupted run of the other engine
    assert provider.diff(outputs, inputs).changes == CHANGED
    records.save(stack, host)
    assert provider.diff(outputs, inputs).changes == SAME

    provider.project.podman("stop", "--time=0", host.id)
    assert provider.diff(outputs, inputs).changes == CHANGED
    outputs = provider.update(outputs, inputs)
    assert json.loads(outputs["record"])["id"] == host.id
    assert provider.diff(outputs, inputs).changes == SAME

    records.remove(stack, "one")  # another laptop, that has Pulumi's state and no record
    assert provider.diff(outputs, inputs).changes == CHANGED
    assert json.loads(provider.update(outputs, inputs)["record"])["id"] == host.id


def test_a_host_that_is_gone_reads_as_nothing(provider: Provider, host_image: str) -> None:
    inputs = provider.properties(image=host_image)
    _, outputs = provider.create(inputs)
    provider.project.remove()
    assert provider.diff(outputs, inputs).changes == CHANGED
    identity, properties = provider.read(outputs)
    assert identity == ""
    assert "record" not in properties
    assert records.get(provider.project.stack(), "one") is None
    _, again = provider.create(inputs)
    assert json.loads(again["record"])["generation"] == 2


def test_a_failure_is_one_message_without_traceback(provider: Provider) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        provider.create(provider.properties(image="localhost/gpurig-none:0"))
    told = str(caught.value.details())
    assert told.startswith(
        "gpurig.errors.ConfigError: Pulumi.test.yaml: gpurig:hosts.one.image: there is no local image"
    )
    assert "Traceback" not in told


def test_a_mistake_of_ours_keeps_its_traceback(provider: Provider) -> None:
    with pytest.raises(grpc.RpcError):  # a message without traceback comes first
        provider.create(provider.properties(image="localhost/gpurig-none:0"))
    with pytest.raises(grpc.RpcError) as caught:
        provider.delete({"__provider": serialize_provider(HostProvider())})
    assert "in delete" in str(caught.value.details())


def test_delete_is_refused_while_results_are_nowhere_else(provider: Provider, host_image: str) -> None:
    _, outputs = provider.create(provider.properties(image=host_image))
    run = provider.project.stack().dir / "runs" / "one" / "r1"
    run.mkdir(parents=True)
    (run / "run.json").write_text("{}")
    with pytest.raises(grpc.RpcError) as caught:
        provider.delete(outputs)
    told = str(caught.value.details())
    assert told.startswith("gpurig.errors.ResultsAtRiskError: one: not destroyed, since the results of r1")
    assert "Traceback" not in told
    assert provider.project.containers() == {"one": [json.loads(outputs["record"])["id"]]}


def test_secrets_reach_what_a_provider_runs_and_nothing_else(
    start: Callable[..., Provider], host_image: str, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    provider = start(PATH=podman_in_front(tmp_path, f'echo "$VAST_API_KEY" >{seen}'))
    _, outputs = provider.create(provider.properties(image=host_image))
    assert seen.read_text().strip() == SECRET
    assert SECRET not in str(outputs)
    assert SECRET not in provider.close()
    for file in filter(Path.is_file, provider.project.home.rglob("*")):
        assert SECRET.encode() not in file.read_bytes()


def test_the_environments_key_wins_over_the_configured_one(
    start: Callable[..., Provider], host_image: str, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    provider = start(PATH=podman_in_front(tmp_path, f'echo "$VAST_API_KEY" >{seen}; exit 1'), VAST_API_KEY="mine")
    with pytest.raises(grpc.RpcError):
        provider.create(provider.properties(image=host_image))
    assert seen.read_text().strip() == "mine"


def test_the_process_ends_with_the_engine_that_reads_its_output(provider: Provider) -> None:
    with pytest.raises(grpc.RpcError):  # whatever it is asked first
        provider.read({"__provider": serialize_provider(HostProvider())})
    assert provider.process.poll() is None
    with provider.process as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait(timeout=60) == 1
    provider.channel.close()


def struct(data: dict[str, Any]) -> struct_pb2.Struct:
    """Properties as they travel: every number a double."""
    made = struct_pb2.Struct()
    made.update(data)
    return made


def plain(properties: struct_pb2.Struct) -> dict[str, Any]:
    """Properties as plain data."""
    found: dict[str, Any] = json_format.MessageToDict(properties)
    return found
