"""The Host record survives the ways it travels: JSON files and Pulumi's outputs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gpurig.errors import RigError
from gpurig.host import Capabilities, Endpoint, Guest, Host

LINUX = Capabilities(init="systemd", kernel="own", privilege="sudo", can_stop=True)
HOST = Host(
    name="home",
    project="p",
    stack="s",
    provider="workstation",
    id="registered",
    label="gpurig.p.s.home.1",
    generation=1,
    endpoint=Endpoint(address="192.0.2.7", port=22, user="me", host_key="ssh-ed25519 AAAA", shell="powershell"),
    capabilities=replace(LINUX, gpu_driver="windows"),
    environments=("starter",),
    services=("jupyter",),
    variables={"base_time_zone": "UTC"},
    spec={"provider": "workstation"},
    guest=Guest(
        name="home-wsl",
        endpoint=Endpoint(address="127.0.0.1", port=2222, user="me", host_key="ssh-ed25519 BBBB", jump="home-win"),
        capabilities=LINUX,
    ),
)


def test_a_record_comes_back_as_it_went() -> None:
    assert Host.from_dict(json.loads(json.dumps(HOST.to_dict()))) == HOST


def test_pulumis_doubles_become_whole_numbers_again() -> None:
    data = HOST.to_dict()
    data["schema"], data["generation"] = 1.0, 1.0
    data["endpoint"]["port"] = 22.0
    host = Host.from_dict(data)
    assert (repr(host.generation), repr(host.endpoint.port)) == ("1", "22")
    assert host == HOST


def test_a_windows_pc_has_its_wsl_as_a_second_machine_where_work_is_done() -> None:
    assert [name for name, _, _ in HOST.machines()] == ["home-win", "home-wsl"]
    assert HOST.work()[0] == "home-wsl"
    assert replace(HOST, guest=None).work()[0] == "home"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema 2 is not 1"),
        ({"generation": "one"}, "damaged"),
        ({"surprise": 1}, "unknown fields"),
        (
            {"capabilities": {**HOST.to_dict()["capabilities"], "init": "runit"}},
            "'runit' is not one of 'systemd', 'none'",
        ),
        ({"endpoint": {}}, "damaged"),
    ],
)
def test_a_record_that_is_not_ours_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RigError, match=message):
        Host.from_dict({**HOST.to_dict(), **change})
