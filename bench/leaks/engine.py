"""What Pulumi's engine says to the provider's process, through its real gRPC interface, and what it keeps as its state.

As the engine does, it keeps nothing of a creation that did not answer: the next `up` creates again. See tests/program/test_provider.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import json_format, struct_pb2
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from gpurig import config
from gpurig.program import HostProvider

URN = "urn:pulumi:leaks::bench::pulumi-python:dynamic/gpurig:Host::a"
START_SECONDS = 20.0


class Engine:
    """One stack with one host. state: what a creation answered, None where there is none."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        wanted = config.parse({"hosts": {"a": dict(entry)}}, "leaks").hosts["a"]
        self._inputs = {
            "__provider": serialize_provider(HostProvider()),
            "project": "bench",
            "stack": "leaks",
            "name": "a",
            "spec": json.dumps(wanted.normalised(), sort_keys=True),
        }
        self.state: dict[str, Any] | None = None

    def does(self, action: str, port_file: Path) -> str:
        """`up` or `down` once the process tells its port. Returns what went wrong, or nothing."""
        deadline = time.monotonic() + START_SECONDS
        while not (port_file.exists() and port_file.read_text().endswith("\n")):
            if time.monotonic() > deadline:
                return "the provider's process did not start"
            time.sleep(0.01)
        address = f"127.0.0.1:{int(port_file.read_text())}"
        port_file.unlink()
        try:
            with grpc.insecure_channel(address) as channel:
                provider = provider_pb2_grpc.ResourceProviderStub(channel)
                provider.Configure(provider_pb2.ConfigureRequest(args=_struct({})))
                if action == "up":
                    self._up(provider)
                else:
                    self._down(provider)
        except grpc.RpcError as error:
            return f"{error.code()}: {error.details()}"
        return ""

    def _up(self, provider: Any) -> None:
        if self.state is None:
            made = provider.Create(provider_pb2.CreateRequest(urn=URN, properties=_struct(self._inputs)))
            self.state = json_format.MessageToDict(made.properties)
            return
        olds, news = _struct(self.state), _struct(self._inputs)
        found = provider.Read(provider_pb2.ReadRequest(id="a", urn=URN, properties=olds))
        if not found.id:
            self.state = None
            self._up(provider)
            return
        if provider.Diff(provider_pb2.DiffRequest(id="a", urn=URN, olds=olds, news=news)).changes == 2:  # noqa: PLR2004 (DIFF_SOME)
            made = provider.Update(provider_pb2.UpdateRequest(id="a", urn=URN, olds=olds, news=news))
            self.state = json_format.MessageToDict(made.properties)

    def _down(self, provider: Any) -> None:
        provider.Delete(provider_pb2.DeleteRequest(id="a", urn=URN, properties=_struct(self.state or {})))
        self.state = None


def _struct(data: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    json_format.ParseDict(dict(data), made)
    return made
