"""Which rented machines are accepted: readings of many kinds of GPU, and how they are taken. No GPU takes part."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpurig import acceptance, config, drivers, gpus, readings
from gpurig.catalogue import ROOT
from gpurig.health import thresholds
from gpurig.readings import Device, Readings
from gpurig.rental import RentalSpec

FIXTURES = ROOT / "tests" / "fixtures" / "acceptance"
RECORDINGS = FIXTURES.with_name("gpu")
"""Those of verification, in which only the disk is missing."""

GB = 10**9


def spec(**keys: Any) -> RentalSpec:
    entry = {"provider": "vastai", "gpu": "RTX 4090", "max_price": 1, "disk": 50, **keys}
    made = config.parse({"hosts": {"a": entry}}, "test").hosts["a"]
    assert isinstance(made, RentalSpec)
    return made


def recorded(name: str) -> Readings:
    folder = FIXTURES if (FIXTURES / f"{name}.json").exists() else RECORDINGS
    disk = {"size": 54 * GB, "free": 49 * GB}
    return readings.read(json.dumps({"disk": disk, **json.loads((folder / f"{name}.json").read_text())}))


def problems(name: str, promised: dict[str, Any] | None = None, **keys: Any) -> list[str]:
    return list(acceptance.judge(recorded(name), spec(**keys), promised or {}))


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.json")), ids=lambda path: path.stem)
def test_every_fixture_says_where_it_is_from(path: Path) -> None:
    source = json.loads(path.read_text())["source"]
    assert source.startswith(("recorded: ", "written from documentation, not recorded: "))


class TestJudgement:
    @pytest.mark.parametrize(
        ("name", "gpu", "count"),
        [("rtx_4090", "RTX 4090", 1), ("h100_x8", "H100", 8), ("a100_40gb", "A100 40GB", 1), ("t4", "T4", 1)],
    )
    def test_what_was_paid_for_is_accepted(self, name: str, gpu: str, count: int) -> None:
        assert problems(name, {"gpu": gpu, "count": count}, gpu=gpu, count=count) == []

    def test_another_gpu_is_not(self) -> None:
        assert problems("rtx_3090") == ["its GPU is NVIDIA GeForce RTX 3090 with 25 GB; RTX 4090 was paid for"]

    def test_nor_the_smaller_one_of_two(self) -> None:
        assert "A100 80GB was paid for" in problems("a100_40gb", gpu="A100 80GB")[0]

    def test_nor_a_part_of_one(self) -> None:
        assert problems("h100_slice", gpu="H100") == [
            "its GPU is NVIDIA H100 80GB HBM3 MIG 1g.10gb with 10 GB; H100 was paid for"
        ]

    def test_nor_one_with_less_memory_than_its_model_has(self) -> None:
        less = replace(recorded("rtx_4090"), devices=(Device("NVIDIA GeForce RTX 4090", 22 * GB),))
        assert list(acceptance.judge(less, spec(), {})) == [
            "its GPU is NVIDIA GeForce RTX 4090 with 22.0 GB; 24 GB were paid for, and 95% of that are required"
        ]

    def test_how_much_of_it_is_required_can_be_set_for_a_host(self) -> None:
        less = replace(recorded("rtx_4090"), devices=(Device("NVIDIA GeForce RTX 4090", 22 * GB),))
        assert list(acceptance.judge(less, spec(variables={"gpu_min_memory_part": 0.9}), {})) == []

    def test_one_with_more_memory_is_accepted_and_is_what_a_wish_for_more_gets(self) -> None:
        more = replace(recorded("rtx_4090"), devices=(Device("NVIDIA GeForce RTX 4090", 48 << 30),))
        assert list(acceptance.judge(more, spec(), {})) == []
        assert list(acceptance.judge(more, spec(memory=48), {})) == []
        assert "48 GB were paid for" in problems("rtx_4090", memory=48)[0]

    def test_fewer_gpus_than_paid_for_are_told_with_the_reason(self) -> None:
        found = problems("h100_x8_one_lost", gpu="H100", count=8)
        assert "GPU is lost" in found[0]
        assert found[1] == "7 GPUs can be used; 8 were paid for"

    @pytest.mark.parametrize(
        ("name", "gpu", "words"),
        [
            ("no_gpu", "RTX 4090", ["nvidia-smi cannot be run", "libcuda.so.1: cannot open shared object file"]),
            ("driver_mismatch", "RTX 4090", ["Driver/library version mismatch", "code 803, its driver and its CUDA"]),
            ("reset_required", "A100 80GB", ["[GPU requires reset]", "code 999, unknown"]),
            ("no_uvm", "RTX 4090", ["CUDA does not work: cuInit failed (code 999"]),
            (
                "nvidia_smi_hangs",
                "A100 80GB",
                ["nvidia-smi -L gave no answer", "CUDA does not work: no answer within 90"],
            ),
        ],
    )
    def test_a_gpu_that_does_not_work_is_told_in_full(self, name: str, gpu: str, words: list[str]) -> None:
        found = problems(name, gpu=gpu)
        assert len(found) == len(words)
        assert all(word in problem for word, problem in zip(words, found, strict=True)), found

    def test_a_gpu_that_computes_wrong_is_not_accepted(self) -> None:
        data = json.loads((FIXTURES / "rtx_4090.json").read_text())
        data["cuda"]["devices"][0]["right"] -= 1
        (problem,) = acceptance.judge(readings.read(json.dumps(data)), spec(), {})
        assert problem.startswith("CUDA does not work: GPU 0: a CUDA kernel: 262143 of 262144 integers right")

    def test_nor_one_that_cuda_does_not_see(self) -> None:
        data = json.loads((FIXTURES / "rtx_4090.json").read_text())
        data["cuda"] |= {"count": 0, "devices": []}
        assert list(acceptance.judge(readings.read(json.dumps(data)), spec(), {})) == [
            "0 GPUs can be used; 1 were paid for"
        ]

    def test_a_board_whose_switches_do_not_run_is_not_accepted(self) -> None:
        (problem,) = problems("h100_no_fabric_manager", gpu="H100", count=8)
        assert "code 802" in problem
        assert "fabric manager" in problem

    @pytest.mark.parametrize(
        ("size", "free", "accepted"),
        [
            (50, 46, True),  # a layer of its own, as ordered
            (50, 15, True),  # the same with a large image in it
            (50, 10, False),  # full
            (30, 29, False),  # smaller than paid for
            (2000, 60, True),  # the machine's whole disk
            (2000, 40, False),  # the same, and others have filled it
            (46, 40, True),  # formatting takes some
            (44, 44, False),
        ],
    )
    def test_the_disk_must_be_near_what_was_promised(self, size: int, free: int, accepted: bool) -> None:
        found = replace(recorded("rtx_4090"), disk=size * GB, free=free * GB)
        assert (list(acceptance.judge(found, spec(), {})) == []) is accepted

    def test_the_disk_is_told_with_figures(self) -> None:
        found = replace(recorded("rtx_4090"), disk=31 * GB, free=3 * GB)
        (problem,) = acceptance.judge(found, spec(), {})
        assert problem == (
            "its home folder has 3.0 GB free of 31.0 GB; 50 GB were paid for, and 90% of that are required"
        )

    @pytest.mark.parametrize(
        ("wish", "promised", "speed", "certain", "accepted"),
        [
            (None, 900, 1, True, True),  # nobody asked for it
            (100, 900, 120, True, True),  # what was wished for
            (100, 900, 90, True, False),
            (800, 900, 460, True, True),  # half of what was promised
            (800, 900, 440, True, False),
            (800, None, 410, True, True),
            (800, None, 390, True, False),
            (800, 900, 20, False, True),  # the line here may be the slow one
        ],
    )
    def test_the_link_must_be_half_of_what_was_promised(
        self, wish: float | None, promised: float | None, speed: float, certain: bool, accepted: bool
    ) -> None:
        found = replace(recorded("rtx_4090"), link=speed, certain=certain)
        assert (list(acceptance.judge(found, spec(link=wish), {"link": promised})) == []) is accepted

    def test_everything_that_is_wrong_is_told_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(drivers, "needed", lambda environments: ("580", "pytorch"))
        found = replace(recorded("rtx_3090"), free=GB, driver="550.54.14")
        assert len(list(acceptance.judge(found, spec(count=2), {"count": 2}))) == 4


class TestDriver:
    @pytest.mark.parametrize(
        ("lock", "cuda"),
        [
            ("torch==2.13.0\ncuda-toolkit==13.0.3 ; sys_platform == 'linux'\n", 13),
            ("cuda-toolkit[cublas,cudart]==13.2.2\n", 13),
            ("nvidia-cuda-runtime-cu12==12.8.90\n", 12),
            ("nvidia-cuda-runtime==13.0.96\n", 13),
            ("torch==2.14.1+cu126\n", 12),
            ("torch==2.7.1+cu118\n", 11),
            ("torch==2.13.0+cpu\nnumpy==2.4.6\n", None),
            ("numpy==2.4.6\n", None),
        ],
    )
    def test_a_lock_tells_for_which_cuda_its_packages_are(self, lock: str, cuda: int | None) -> None:
        assert drivers.cuda_of(lock) == cuda

    @pytest.mark.parametrize(
        ("cuda", "driver"), [(None, ""), (10, ""), (11, "450.80.02"), (12, "525.60.13"), (13, "580"), (14, "580")]
    )
    def test_the_table_tells_the_least_driver(self, cuda: int | None, driver: str) -> None:
        assert drivers.least(cuda) == driver

    def test_versions_are_numbers(self) -> None:
        assert drivers.enough("580.95.05", "580")
        assert drivers.enough("1000.1", "580")
        assert not drivers.enough("579.99", "580")
        assert not drivers.enough("525.60.11", "525.60.13")

    def test_the_most_demanding_environment_decides(self, monkeypatch: pytest.MonkeyPatch) -> None:
        cudas = {"old": (12,), "new": (13,), "both": (13, 12), "light": ()}
        monkeypatch.setattr(drivers, "cudas", cudas.__getitem__)
        assert drivers.needed(["old", "new", "light"]) == ("580", "new")
        assert drivers.needed(["light", "both"]) == ("525.60.13", "both")
        assert drivers.needed(["light"])[0] == ""
        assert drivers.needed([])[0] == ""

    def test_the_light_environment_needs_none(self) -> None:
        assert drivers.needed(["starter"])[0] == ""

    def test_an_older_driver_is_refused_with_the_environment_that_needs_more(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(drivers, "needed", lambda environments: ("580", "pytorch"))
        assert problems("rtx_4090") == []
        assert "its driver is 535.183.01; environment pytorch needs 580 or newer" in problems("t4", gpu="T4")
        unknown = replace(recorded("rtx_4090"), driver="")
        (problem,) = acceptance.judge(unknown, spec(), {})
        assert "cannot be told" in problem


def test_a_gpu_of_the_table_is_found_by_the_name_that_its_driver_gives() -> None:
    for name, mib, canonical in (
        ("NVIDIA H100 PCIe", 81559, "H100"),
        ("NVIDIA H100 NVL", 95830, "H100 NVL"),
        ("NVIDIA A100 80GB PCIe", 81920, "A100 80GB"),
        ("NVIDIA RTX 6000 Ada Generation", 49140, "RTX 6000 Ada"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97887, "RTX PRO 6000"),
        ("Tesla V100-PCIE-16GB", 16160, "V100 16GB"),
        ("NVIDIA GH200 480GB", 97871, "GH200"),
        ("NVIDIA B200", 183359, "B200"),
        ("NVIDIA A10G", 23028, "A10G"),
    ):
        found = gpus.find(name, mib / 1024)
        assert found
        assert found.name == canonical
        assert mib << 20 >= thresholds.table()["min_memory_part"].value * found.memory * GB
