"""How the PyTorch probe goes about several GPUs, with a simulated PyTorch: its computations run in the environments' end-to-end test."""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gpurig.health import links, numbers, speed
from gpurig.health.finding import Wanted
from gpurig.health.probes import apart, torch_burn, torch_check, torch_links, torch_numbers, torch_speed

GB = 10**9
FREE = {0: 24 * GB, 1: 24 * GB, 2: 10**8}
"""Of three GPUs, the last is filled by somebody else."""

Make = Callable[..., torch_check.Check]


def simulated(count: int) -> SimpleNamespace:
    """A PyTorch that knows of GPUs, and has none to compute on."""
    about = SimpleNamespace(major=8, minor=9, name="NVIDIA GeForce RTX 4090", total_memory=25386352640)
    cuda = SimpleNamespace(
        get_arch_list=lambda: ["sm_80", "sm_86"],
        is_available=lambda: True,
        device_count=lambda: count,
        get_device_properties=lambda index: about,
        mem_get_info=lambda index: (FREE[index], about.total_memory),
        can_device_access_peer=lambda one, other: False,
    )
    return SimpleNamespace(
        __version__="2.14.1+cu130",
        version=SimpleNamespace(cuda="13.0"),
        cuda=cuda,
        set_num_threads=lambda threads: None,
    )


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    def check(count: int, **options: Any) -> torch_check.Check:
        given = {"device": "cuda", "flip": False, "burn": 0.0, "smi": "", "fields": "index", **options}
        with monkeypatch.context() as here:
            here.setattr(importlib, "import_module", lambda name: simulated(count))
            return torch_check.Check(argparse.Namespace(**given))

    return check


def looks(tell: apart.Tell, *, device: dict[str, Any], **_: Any) -> None:
    tell(step="looking", seen=device["index"])


def hangs_on_first(tell: apart.Tell, *, device: dict[str, Any], **_: Any) -> None:
    tell(step="looking", seen=device["index"])
    if device["index"] == 0:
        time.sleep(60)


def test_every_gpu_is_looked_at_under_its_own_number(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    check = make(2)
    monkeypatch.setattr(torch_numbers, "look", looks)
    devices = check.numbers()["devices"]
    assert [(one["index"], one["seen"], one["problem"]) for one in devices] == [(0, 0, ""), (1, 1, "")]
    assert check.head["torch"] == "2.14.1+cu130"


def test_a_gpu_that_others_fill_is_left_alone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    check = make(3)
    monkeypatch.setattr(torch_numbers, "look", looks)
    devices = check.numbers()["devices"]
    assert [one.get("seen") for one in devices] == [0, 1, None]
    assert devices[2]["skipped"] == "100 MB of its memory are free, and 1074 MB are needed"
    assert check.links()["skipped"].startswith("a GPU has less than")


def test_one_that_hangs_is_not_tried_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    check = make(2, burn=1.0)
    monkeypatch.setitem(torch_check.SECONDS, "numbers", 3.0)
    monkeypatch.setattr(torch_numbers, "look", hangs_on_first)
    for module in (torch_speed, torch_burn):
        monkeypatch.setattr(module, "look", looks)
    start = time.monotonic()
    found = {name: {**check.head, "devices": [], **getattr(check, name)()} for name in torch_check.SECTIONS}
    assert time.monotonic() - start < 40
    assert [one["problem"] for one in found["numbers"]["devices"]] == ["no answer within 3 s, at looking", ""]
    assert [one.get("seen") for one in found["speed"]["devices"]] == [None, 1]
    assert [one["index"] for one in found["speed"]["burn"]["devices"]] == [1]
    assert found["links"]["problem"] == "GPU 0 gave no answer before"
    wanted = Wanted(platform="native")
    for judge, name in ((numbers.judge, "GPU 0: PyTorch"), (speed.judge, "GPU 0: speed"), (links.judge, links.VALUES)):
        assert {one.name: one.verdict for one in judge(found, wanted)}[name] == "FAIL"


def test_wrong_elements_of_all_ranks_are_counted(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def rank(tell: apart.Tell, *, number: int, **_: Any) -> None:
        tell(elements=8, bytes=32, wrong=number, best=10.0, runs=[10.0])

    monkeypatch.setattr(torch_links, "rank", rank)
    found = make(2).links()
    assert (found["wrong"], found["best"], found["backend"]) == (1, 10.0, "nccl")


def test_a_rank_that_fails_is_named(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def rank(tell: apart.Tell, *, number: int, **_: Any) -> None:
        tell(step="meeting the others")
        if number == 1:
            raise RuntimeError("NCCL error")
        time.sleep(60)

    monkeypatch.setattr(apart, "GRACE", 0.2)
    monkeypatch.setattr(torch_links, "rank", rank)
    found = make(2).links()
    assert found["problem"] == "GPU 1: NCCL error"
    assert found["wrong"] is None


def test_one_gpu_needs_no_links(make: Make) -> None:
    assert make(1).links()["skipped"] == "there is one GPU"


def test_a_pytorch_without_a_gpu_says_why(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: torch_check.Check, tell: apart.Tell) -> None:
        raise RuntimeError("Torch not compiled with CUDA enabled")

    monkeypatch.setattr(torch_check.Check, "start", start)
    monkeypatch.setattr(importlib, "import_module", lambda name: simulated(0))
    options = argparse.Namespace(device="cuda", flip=False, burn=5.0, smi="nvidia-smi", fields="index")
    check = torch_check.Check(options)
    assert check.head["problem"] == "Torch not compiled with CUDA enabled"
    assert (check.numbers()["devices"], check.speed()["samples"]) == ([], [])
    assert "skipped" not in check.links()
