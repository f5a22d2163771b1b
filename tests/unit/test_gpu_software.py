"""The decision about toolkit and container tools, as a table of hosts. The driver's: test_gpu_driver.py."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.gpu_software import decide
from tests.unit.machines import GTX_1080_TI, RTX_4090, RTX_5090, device, facts, wanted


def test_without_a_wish_nothing_is_decided_and_nothing_refused() -> None:
    for platform in ("native", "container", "wsl2"):
        decision = decide(facts(platform=platform), wanted(driver=""))
        assert (decision.driver.packages, decision.refusals, decision.reboot) == ((), (), "")
        assert decision.repository is None


@pytest.mark.parametrize(
    ("release", "platform", "architecture", "folder", "key"),
    [
        ("jammy", "native", "x86_64", "ubuntu2204/x86_64", "3bf863cc.pub"),
        ("noble", "native", "x86_64", "ubuntu2404/x86_64", "3bf863cc.pub"),
        ("noble", "native", "aarch64", "ubuntu2404/sbsa", "3bf863cc.pub"),
        ("noble", "wsl2", "x86_64", "wsl-ubuntu/x86_64", "3bf863cc.pub"),
        ("bookworm", "native", "x86_64", "debian12/x86_64", "3bf863cc.pub"),
        ("trixie", "native", "x86_64", "debian13/x86_64", "8793F200.pub"),
    ],
)
def test_the_toolkit_comes_from_the_release_s_own_folder(
    release: str, platform: str, architecture: str, folder: str, key: str
) -> None:
    asked = wanted(release, driver="", gpu_driver="none", toolkit="13.0", architecture=architecture)
    decision = decide(facts(platform=platform), asked)
    assert decision.refusals == ()
    assert decision.toolkit.package == "cuda-toolkit-13-0"
    assert decision.repository is not None
    assert (decision.repository.folder, decision.repository.key) == (folder, key)


@pytest.mark.parametrize(
    ("given", "asked", "reason"),
    [
        (facts(driver="575.64.03"), {"toolkit": "13.0"}, "needs driver 580 or newer, found 575.64.03. Use a newer"),
        (facts(driver="575.64", platform="wsl2"), {"toolkit": "13.0"}, "Update it in Windows"),
        (facts(driver="470.82.01"), {"toolkit": "12.8"}, "needs driver 525.60.13"),
        (facts(RTX_4090), {"toolkit": "13.0", "gpu_driver": "managed", "driver": "570"}, "needs driver 580"),
        (facts(driver="580.95.05", devices=[device("7.0")]), {"toolkit": "13.0"}, "cannot compile for its GPU"),
        (facts(driver="580.95.05", devices=[device("12.0")]), {"toolkit": "12.6"}, "does not know its GPU"),
        (facts(GTX_1080_TI), {"toolkit": "13.0"}, "cannot compile for its GPU (compute capability below 7.5): write"),
        (facts(GTX_1080_TI), {"toolkit": "13.0", "gpu_driver": "managed", "driver": "580"}, "cannot compile for"),
        (facts(RTX_5090), {"toolkit": "12.6"}, 'does not know its GPU (Blackwell): write cuda_toolkit: "12.8"'),
        (facts(RTX_5090), {"toolkit": "12.6", "release": "trixie"}, 'write cuda_toolkit: "13.0" or newer'),
        (facts(platform="container", driver="580.95.05"), {"toolkit": "13.0"}, "that its image brings"),
        (facts(platform="container"), {"toolkit": "13.0", "gpu_driver": "none"}, "that its image brings"),
        (facts(), {"toolkit": "13"}, "write two numbers"),
        (facts(), {"toolkit": "12.4"}, "oldest toolkit for noble is 12.5"),
        (facts(), {"toolkit": "13.0", "release": "sid"}, "this host runs sid"),
        (facts(), {"toolkit": "13.0", "architecture": "riscv64"}, "no packages for riscv64"),
    ],
)
def test_a_toolkit_is_refused_with_the_reason(given: dict[str, Any], asked: dict[str, str], reason: str) -> None:
    refusals = decide(given, wanted(**{"driver": "", "gpu_driver": "provided", **asked})).toolkit.refusals
    assert [text for text in refusals if reason in text] != [], refusals


@pytest.mark.parametrize("toolkit", ["12.9", "13.0"])
@pytest.mark.parametrize("given", [facts(GTX_1080_TI), facts(driver="580.95.05", devices=[device("6.1")])])
def test_a_release_without_a_toolkit_for_the_gpu_says_so_and_names_no_other_version(
    given: dict[str, Any], toolkit: str
) -> None:
    refusals = decide(given, wanted("trixie", driver="", gpu_driver="provided", toolkit=toolkit)).toolkit.refusals
    assert len(refusals) == 1
    assert "no toolkit for its GPU" in refusals[0]
    assert "write" not in refusals[0]


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (facts(GTX_1080_TI), {"toolkit": "12.9"}),
        (facts(RTX_5090), {"toolkit": "12.8"}),
        (facts(GTX_1080_TI), {"toolkit": "13.0", "gpu_driver": "none"}),
        (facts(GTX_1080_TI, driver="580.95.05", devices=[device("8.9")]), {"toolkit": "13.0"}),
        (facts(driver="580.95.05", devices=[device("8.9")]), {"toolkit": "13.0"}),
        (facts(driver="580.65.06", platform="wsl2"), {"toolkit": "12.4"}),
        (facts(driver="525.60.13"), {"toolkit": "12.8"}),
        (facts(RTX_4090), {"toolkit": "13.0", "gpu_driver": "managed", "driver": "580"}),
        (facts(), {"toolkit": "12.8", "release": "jammy"}),
        (facts(driver="580.95.05", devices=[device("7.0")]), {"toolkit": "12.9"}),
        (facts(driver="580.95.05", devices=[device("")]), {"toolkit": "13.0"}),
    ],
)
def test_a_toolkit_that_fits_is_taken(given: dict[str, Any], asked: dict[str, str]) -> None:
    assert decide(given, wanted(**{"driver": "", "gpu_driver": "provided", **asked})).refusals == ()


@pytest.mark.parametrize("platform", ["wsl2", "native", "container"])
def test_a_host_whose_driver_is_windows_is_wsl2_even_before_that_driver_shows(platform: str) -> None:
    given = facts(platform=platform)
    decision = decide(given, wanted("jammy", driver="", gpu_driver="windows", toolkit="12.4"))
    assert decision.repository is not None
    assert (decision.repository.folder, decision.toolkit.package) == ("wsl-ubuntu/x86_64", "cuda-toolkit-12-4")
    assert decision.refusals == ()
    refused = decide(given, wanted(driver="580", gpu_driver="windows"))
    assert refused.driver.packages == ()
    assert "the driver of WSL2 is that of Windows" in refused.refusals[0]


def test_a_toolkit_keeps_drivers_out_wherever_ours_is_not_installed() -> None:
    for gpu_driver in ("none", "provided", "windows"):
        assert decide(facts(), wanted(driver="", gpu_driver=gpu_driver, toolkit="13.0")).toolkit.keep_out
    assert not decide(facts(RTX_4090), wanted(toolkit="13.0")).toolkit.keep_out


@pytest.mark.parametrize(
    ("engine", "release", "gpu_driver", "packages", "gpu"),
    [
        ("docker", "noble", "managed", ("docker.io",), "cdi"),
        ("docker", "bookworm", "managed", ("docker.io",), "runtime"),
        ("docker", "bookworm", "none", ("docker.io",), ""),
        ("podman", "bookworm", "provided", ("podman", "slirp4netns", "uidmap"), "cdi"),
        ("podman", "jammy", "none", ("podman", "slirp4netns", "uidmap"), ""),
        ("docker", "jammy", "managed", ("docker.io",), "cdi"),
    ],
)
def test_a_container_engine(engine: str, release: str, gpu_driver: str, packages: tuple[str, ...], gpu: str) -> None:
    found = decide(facts(), wanted(release, driver="", gpu_driver=gpu_driver, engine=engine)).engine
    assert (found.packages, found.gpu, found.refusals) == (packages, gpu, ())


@pytest.mark.parametrize(
    ("platform", "init", "reason"),
    [
        ("container", "none", "a container itself"),
        ("container", "systemd", "a container itself"),
        ("wsl2", "none", "wsl.conf"),
    ],
)
def test_a_container_engine_is_refused_with_the_reason(platform: str, init: str, reason: str) -> None:
    found = decide(facts(platform=platform), wanted(driver="", init=init, engine="docker"))
    assert reason in found.refusals[0]


def test_a_podman_that_cannot_give_gpus_is_refused_where_there_are_some() -> None:
    asked = wanted("jammy", driver="", gpu_driver="provided", engine="podman")
    assert "CDI needs 4.1" in decide(facts(RTX_4090), asked).refusals[0]
    assert "write container_engine: docker" in decide(facts(RTX_4090), asked).refusals[0]


def test_an_unknown_container_engine_is_refused_with_those_that_are_known() -> None:
    assert "write docker or podman" in decide(facts(), wanted(driver="", engine="lxc")).refusals[0]
