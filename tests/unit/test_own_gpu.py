"""A machine that exists already says which GPUs it has, and verification asks for them."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig import config
from gpurig.errors import ConfigError
from gpurig.health import gather, layers
from gpurig.health.finding import Finding
from gpurig.host import Host
from gpurig.providers.workstation.registered import Registered
from tests.unit.far import host
from tests.unit.recordings import GEFORCE, by_name, smi

LINUX = {"provider": "workstation", "address": "10.0.0.5", "user": "me", "gpu_driver": "provided"}
WINDOWS = {"provider": "workstation", "os": "windows-wsl2", "address": "10.0.0.5", "user": "me"}
BEGINS = "Pulumi.x.yaml: gpurig:hosts.box."

kinds = pytest.mark.parametrize("entry", [LINUX, WINDOWS], ids=["linux", "windows"])


def load(entry: dict[str, Any]) -> Registered:
    found = config.parse({"hosts": {"box": entry}}, "Pulumi.x.yaml").hosts["box"]
    assert isinstance(found, Registered)
    return found


def mistake(entry: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as refused:
        load(entry)
    assert str(refused.value).startswith(BEGINS)
    return str(refused.value).removeprefix(BEGINS)


@kinds
@pytest.mark.parametrize(
    ("keys", "gpu", "count"),
    [
        ({}, None, None),
        ({"gpu": "geforce rtx 4090"}, "RTX 4090", 1),
        ({"gpu": {"name": "RTX 4090", "count": 2}}, "RTX 4090", 2),
        ({"gpu": "RTX 4090", "count": 2}, "RTX 4090", 2),
        ({"gpu": {"name": "RTX 4090"}}, "RTX 4090", 1),
        ({"count": 2}, None, 2),
    ],
)
def test_every_way_to_write_it(entry: dict[str, Any], keys: dict[str, Any], gpu: str | None, count: int | None) -> None:
    found = load({**entry, **keys}).normalised()
    assert (found["gpu"], found["count"]) == (gpu, count)


@kinds
@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"gpu": "RTX 4900"}, "gpu: found 'RTX 4900': no such GPU is known (did you mean 'RTX 4090'?)"),
        ({"gpu": "A100"}, "gpu: found 'A100': which one: A100 40GB or A100 80GB?."),
        ({"gpu": {"nam": "RTX 4090"}}, "unknown key 'nam'; write {name: RTX 4090, count: 1}."),
        ({"gpu": {"name": "RTX 4090", "count": 0}}, "count: found 0"),
        (
            {"gpu": "RTX 4090", "gpu_driver": "none"},
            "gpu: asks for a GPU, and `gpu_driver` is none; write gpu_driver: ",
        ),
        ({"count": 1, "gpu_driver": "none"}, "count: asks for a GPU, and `gpu_driver` is none; write gpu_driver: "),
    ],
)
def test_a_mistake_says_what_to_write(entry: dict[str, Any], keys: dict[str, Any], says: str) -> None:
    assert says in mistake({**entry, **keys})


@kinds
def test_it_may_be_written_later_without_another_machine(entry: dict[str, Any]) -> None:
    assert load(entry).fingerprint() == load({**entry, "gpu": "RTX 4090"}).fingerprint()


@kinds
@pytest.mark.parametrize(
    ("gpu", "failing"),
    [
        ("RTX 3090", set()),
        ("RTX 4090", {"GPU 0: model"}),
        ({"name": "RTX 3090", "count": 2}, {"GPUs"}),
    ],
)
def test_another_gpu_and_a_missing_one_fail(entry: dict[str, Any], gpu: Any, failing: set[str]) -> None:
    found = judged(load({**entry, "gpu": gpu}))
    assert {name for name, one in found.items() if one.verdict == "FAIL"} == failing


def judged(spec: Registered) -> dict[str, Finding]:
    record = Host.from_dict({**host().to_dict(), "spec": spec.normalised()})
    readings = {"machine": {"platform": "native"}, **smi(GEFORCE), "devices": {"skipped": "not of interest"}}
    capabilities = spec.capabilities()  # type: ignore[attr-defined]
    return by_name(layers.judge(readings, gather.wanted_of(record, capabilities, readings))["driver"])
