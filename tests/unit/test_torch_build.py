"""Which build of PyTorch a host gets."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gpurig import drivers, torch_build
from gpurig.environments import Lock
from gpurig.torch_build import Machine, RefusedError, choose

LOCKS = {
    "cu130": "requirements.lock",
    "cu128": "requirements.lock",
    "cu126": "requirements.cu126.lock",
    "cpu": "requirements.cpu.lock",
    "": "requirements.lock",
}

ALL = ("cu130", "cu126", "cpu")


def locks(*builds: str, torch: str = "2.14.1") -> list[Lock]:
    return [
        Lock(file=LOCKS[b], build=b, torch=torch if b else "", default=not i, digest=b) for i, b in enumerate(builds)
    ]


def machine(driver: str = "580.95.05", *capabilities: str, platform: str = "native", expected: bool = True) -> Machine:
    devices = [{"name": "a GPU", "capability": capability, "memory": 1} for capability in capabilities]
    facts = {"platform": platform, "driver": driver, "devices": devices, "problem": ""}
    return Machine.from_facts(facts, expected=expected)


def chosen(wanted: list[Lock], on: Machine) -> str:
    return choose("pytorch", ">=3.11", wanted, on).build


@pytest.mark.parametrize(
    ("driver", "capabilities", "torch", "build"),
    [
        # RTX 3090, A100, RTX 4090, H100: the driver decides.
        ("580.95.05", ["8.6"], "2.14.1", "cu130"),
        ("580", ["8.0"], "2.14.1", "cu130"),
        ("580.00", ["8.9"], "2.14.1", "cu130"),
        ("615.12", ["9.0"], "2.14.1", "cu130"),
        ("579.99", ["8.9"], "2.14.1", "cu126"),
        ("575.57.08", ["8.6"], "2.14.1", "cu126"),
        ("550.54.15", ["9.0"], "2.14.1", "cu126"),
        ("525.60.13", ["8.0"], "2.14.1", "cu126"),
        # Turing is the oldest that CUDA 13 knows.
        ("580.95.05", ["7.5"], "2.14.1", "cu130"),
        ("550.54.15", ["7.5"], "2.14.1", "cu126"),
        # Volta, Pascal, Maxwell: whatever the driver.
        ("580.95.05", ["7.0"], "2.14.1", "cu126"),
        ("580.95.05", ["6.1"], "2.14.1", "cu126"),
        ("535.54.03", ["6.0"], "2.14.1", "cu126"),
        ("580.95.05", ["5.2"], "2.14.1", "cu126"),
        # Blackwell.
        ("580.95.05", ["12.0"], "2.14.1", "cu130"),
        ("580.95.05", ["10.0"], "2.14.1", "cu130"),
        ("590.10", ["10.3"], "2.14.1", "cu130"),
        # Several GPUs: the least one and the greatest one.
        ("580.95.05", ["8.6", "8.6", "8.6", "8.6"], "2.14.1", "cu130"),
        ("580.95.05", ["8.6", "12.0"], "2.14.1", "cu130"),
        ("580.95.05", ["8.6", "6.1"], "2.14.1", "cu126"),
        ("580.95.05", ["7.0", "9.0"], "2.14.1", "cu126"),
        # Another PyTorch with the same locks.
        ("580.95.05", ["8.6"], "2.9.1", "cu130"),
        ("570.10", ["8.6"], "2.9.1", "cu126"),
        ("580.95.05", ["8.6"], "3.0.0", "cu130"),
    ],
)
def test_the_build_follows_from_driver_and_gpus(driver: str, capabilities: list[str], torch: str, build: str) -> None:
    assert chosen(locks(*ALL, torch=torch), machine(driver, *capabilities)) == build


@pytest.mark.parametrize("platform", ["native", "container", "wsl2"])
def test_the_platform_makes_no_difference_where_the_driver_is_known(platform: str) -> None:
    assert chosen(locks(*ALL), machine("580.95.05", "8.9", platform=platform)) == "cu130"
    assert chosen(locks(*ALL), machine("560.94", "8.9", platform=platform)) == "cu126"


@pytest.mark.parametrize(
    ("builds", "build"),
    [(ALL, "cpu"), (("cu130", "cpu"), "cpu"), (("cu130", "cu126"), "cu130"), (("cu130",), "cu130"), (("",), "")],
)
@pytest.mark.parametrize("driver", ["", "580.95.05"])
def test_without_an_expected_gpu_the_smallest_build_is_taken(builds: tuple[str, ...], build: str, driver: str) -> None:
    assert chosen(locks(*builds), machine(driver, *(["8.9"] if driver else []), expected=False)) == build


def test_the_default_build_is_kept_where_it_works() -> None:
    assert chosen(locks("cu126", "cu130"), machine("580.95.05", "8.9")) == "cu126"
    assert chosen(locks("cu130", "cu126"), machine("580.95.05", "8.9")) == "cu130"
    assert chosen(locks("cpu", "cu126", "cu130"), machine("580.95.05", "8.9")) == "cu130"


def test_an_environment_without_cuda_needs_no_gpu() -> None:
    assert chosen(locks(""), machine("")) == ""


@pytest.mark.parametrize(
    ("builds", "torch", "driver", "capabilities", "said"),
    [
        # A build that would do is not locked.
        (
            ("cu130",),
            "2.14.1",
            "550.54.15",
            ["8.9"],
            "cu130 needs driver 580 or newer. `rig env lock pytorch --build cu126`",
        ),
        (
            ("cu130", "cpu"),
            "2.14.1",
            "580.95.05",
            ["7.0"],
            "nothing for compute capability 7.0; cpu computes on no GPU. `rig env lock pytorch --build cu126`",
        ),
        (
            ("cu126",),
            "2.14.1",
            "580.95.05",
            ["12.0"],
            "cu126 has nothing for compute capability 12.0. `rig env lock pytorch --build cu130`",
        ),
        (("cpu",), "2.14.1", "580.95.05", ["8.9"], "cpu computes on no GPU. `rig env lock pytorch --build cu130`"),
        # A newer driver would do.
        (ALL, "2.14.1", "470.256.02", ["8.6"], "works here with a newer driver: cu130 needs driver 580 or newer"),
        (ALL, "2.14.1", "525.60.12", ["8.6"], "cu126 needs driver 525.60.13 or newer"),
        (ALL, "2.14.1", "575.57.08", ["12.0"], "works here with a newer driver: cu130 needs driver 580 or newer"),
        (ALL, "2.14.1", "560.10", ["8.6", "10.0"], "works here with a newer driver: cu130 needs driver 580 or newer"),
        (("cu128",), "2.9.1", "565.10", ["12.0"], "cu128 needs driver 570 or newer"),
        # Another PyTorch would do.
        (
            ("cu130",),
            "2.15.0",
            "580.95.05",
            ["7.0"],
            'The last PyTorch with such a build is 2.14 (cu126, Python 3.10 or newer; this environment runs on >=3.11): write "torch==2.14.*"',
        ),
        (("cu130",), "2.15.0", "550.54.15", ["8.0"], "works here with a newer driver"),
        # Nothing would do.
        (ALL, "2.14.1", "580.95.05", ["6.1", "12.0"], "No PyTorch in gpurig/torch_builds.toml has one"),
        (ALL, "2.14.1", "470.256.02", ["3.5"], "No PyTorch in gpurig/torch_builds.toml has one"),
    ],
)
def test_where_no_build_works_the_reason_and_the_way_out_are_said(
    builds: tuple[str, ...], torch: str, driver: str, capabilities: list[str], said: str
) -> None:
    with pytest.raises(RefusedError, match=re.escape(said)):
        choose("pytorch", ">=3.11", locks(*builds, torch=torch), machine(driver, *capabilities))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"platform": "native", "driver": ""}, "no NVIDIA driver is loaded. Load the driver"),
        (
            {"platform": "native", "driver": "", "problem": "NVML: Driver/library version mismatch"},
            "version mismatch. Load",
        ),
        ({"platform": "native", "driver": "580.95.05"}, "no GPU was found"),
        (
            {"platform": "wsl2", "driver": "", "problem": "nvidia-smi is not installed"},
            "Install NVIDIA's driver 580 or newer in Windows",
        ),
        ({"platform": "container", "driver": ""}, "has to pass a GPU through"),
        ({}, "no NVIDIA driver is loaded"),
    ],
)
def test_an_expected_gpu_that_is_absent_is_refused(facts: dict[str, Any], said: str) -> None:
    with pytest.raises(RefusedError, match=f"a GPU is expected here, but .*{re.escape(said)}"):
        choose("pytorch", ">=3.11", locks(*ALL), Machine.from_facts(facts, expected=True))


def test_a_driver_that_is_too_old_to_tell_the_capability_is_too_old() -> None:
    facts = {
        "platform": "native",
        "driver": "470.256.02",
        "devices": [{"name": "Tesla T4", "capability": "", "memory": 1}],
    }
    with pytest.raises(RefusedError, match=r"cu126 needs driver 525\.60\.13 or newer"):
        choose("pytorch", ">=3.11", locks(*ALL), Machine.from_facts(facts, expected=True))


class TestOwnLockOfASource:
    """nanochat: extras gpu and cpu of its own lock, CUDA 12.8."""

    LOCKS = (
        Lock(file="uv.lock", build="cu128", torch="2.9.1", extra="gpu", digest="a"),
        Lock(file="uv.lock", build="cpu", torch="2.9.1", extra="cpu", digest="b"),
    )

    @pytest.mark.parametrize(
        ("driver", "capability", "expected", "extra"),
        [("550.54.15", "8.9", True, "gpu"), ("580.95.05", "12.0", True, "gpu"), ("", "", False, "cpu")],
    )
    def test_the_extra_follows_from_the_host(self, driver: str, capability: str, expected: bool, extra: str) -> None:
        on = machine(driver, *([capability] if capability else []), expected=expected)
        assert choose("nanochat", ">=3.10", self.LOCKS, on).extra == extra

    def test_no_other_build_is_advised_than_it_has(self) -> None:
        with pytest.raises(RefusedError, match="cu128 needs driver 570 or newer") as refused:
            choose("nanochat", ">=3.10", self.LOCKS, machine("560.10", "12.0"))
        assert "rig env lock" not in str(refused.value)

    @pytest.mark.parametrize(
        ("driver", "capability", "advice"),
        [
            ("560.10", "12.0", "Install such a driver, or leave nanochat out"),
            ("580", "6.1", "name a commit with another"),
        ],
    )
    def test_the_advice_speaks_of_its_own_build_alone(self, driver: str, capability: str, advice: str) -> None:
        with pytest.raises(RefusedError, match=advice) as refused:
            choose("nanochat", ">=3.10", self.LOCKS, machine(driver, capability))
        assert "cu130" not in str(refused.value)

    def test_where_nobody_said_for_which_cuda_it_is_the_gpu_extra_is_taken(self) -> None:
        unknown = [
            Lock(file="uv.lock", build="", extra="gpu", digest="a"),
            Lock(file="uv.lock", build="cpu", extra="cpu", digest="b"),
        ]
        assert choose("own", ">=3.10", unknown, machine("550.54.15", "8.9")).extra == "gpu"


class TestTable:
    """torch_builds.toml and drivers.toml together."""

    def test_every_build_of_a_release_says_what_it_runs_on(self) -> None:
        table = torch_build._table()
        assert {build for row in table["release"] for build in row["builds"]} == set(table["build"])
        assert all(row["architectures"] for row in table["build"].values())

    def test_releases_are_in_order(self) -> None:
        found = [drivers.parts(row["torch"]) for row in torch_build._table()["release"]]
        assert found == sorted(found)

    @pytest.mark.parametrize(
        ("architectures", "capability", "runs"),
        [
            ([(8, 0), (8, 6)], (8, 9), True),
            ([(8, 9)], (8, 6), False),
            ([(8, 0)], (9, 0), False),
            ([(10, 0)], (10, 3), True),
            ([], (8, 0), False),
        ],
    )
    def test_code_runs_on_its_major_version_and_newer_minor_ones(
        self, architectures: list[tuple[int, int]], capability: tuple[int, int], runs: bool
    ) -> None:
        assert torch_build.runs_on(architectures, capability) == runs

    def test_cu128_lost_volta_with_2_11(self) -> None:
        on = machine("580.95.05", "7.0")
        assert not list(torch_build.objections("cu128", "2.10.0", on))
        assert list(torch_build.objections("cu128", "2.11.0", on)) == ["cu128 has nothing for compute capability 7.0"]

    def test_the_driver_for_renting_is_the_one_that_a_build_is_installed_with(self) -> None:
        for build in torch_build._table()["build"]:
            cuda = drivers.of_build(build)
            least = drivers.least(cuda[0] if cuda else None)
            assert not list(torch_build.objections(build, "2.8", machine(least, "8.0"))), build
            older = ".".join(map(str, [drivers.parts(least)[0] - 1, 99]))
            assert list(torch_build.objections(build, "2.8", machine(older, "8.0"))), build
