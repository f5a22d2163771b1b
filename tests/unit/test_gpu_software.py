"""The decision about driver, toolkit and container tools, as a table of hosts."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.gpu_driver import generation, reboot
from gpurig.gpu_software import Wanted, decide

RTX_4090, RTX_3090, RTX_5090, V100, GTX_1080_TI, K80 = (
    "10de:2684",
    "10de:2204",
    "10de:2b85",
    "10de:1db1",
    "10de:1b06",
    "10de:102d",
)
H100, A100, B200, T4, M4000 = "10de:2330", "10de:20b2", "10de:2901", "10de:1eb8", "10de:13f1"

KERNELS = {
    "jammy": "5.15.0-151-generic",
    "noble": "6.8.0-51-generic",
    "bookworm": "6.1.0-28-amd64",
    "trixie": "6.12.48+deb13-amd64",
}


def facts(*pci: str, **changed: Any) -> dict[str, Any]:
    """A machine of its own with these GPUs, before a driver is installed."""
    found = {
        "platform": "native",
        "driver": "",
        "installed": "",
        "nouveau": False,
        "secure_boot": False,
        "nvswitches": 0,
        "devices": [],
        "pci": list(pci),
        "problem": "",
    }
    return {**found, **changed}


def wanted(release: str = "noble", **changed: Any) -> Wanted:
    given = {
        "gpu_driver": "managed",
        "init": "systemd",
        "release": release,
        "kernel": KERNELS.get(release, ""),
        "driver": "580",
    }
    return Wanted(**{**given, **changed})


def device(capability: str) -> dict[str, Any]:
    return {"name": "GPU", "capability": capability, "memory": 24 << 30}


@pytest.mark.parametrize(
    ("pci", "name"),
    [
        (K80, "Kepler or older"),
        (M4000, "Maxwell, Pascal or Volta"),
        (GTX_1080_TI, "Maxwell, Pascal or Volta"),
        ("10de:15f8", "Maxwell, Pascal or Volta"),
        (V100, "Maxwell, Pascal or Volta"),
        (T4, "Turing, Ampere, Hopper or Ada"),
        ("10de:2182", "Turing, Ampere, Hopper or Ada"),
        (A100, "Turing, Ampere, Hopper or Ada"),
        (H100, "Turing, Ampere, Hopper or Ada"),
        (RTX_4090, "Turing, Ampere, Hopper or Ada"),
        ("10de:28e0", "Turing, Ampere, Hopper or Ada"),
        (B200, "Blackwell or newer"),
        (RTX_5090, "Blackwell or newer"),
        ("10de:3182", "Blackwell or newer"),
    ],
)
def test_a_gpu_s_generation_is_known_without_a_driver(pci: str, name: str) -> None:
    assert generation(pci) == name


@pytest.mark.parametrize(
    ("release", "gpu", "changed", "source", "packages"),
    [
        (
            "noble",
            RTX_4090,
            {},
            "ubuntu",
            "nvidia-headless-no-dkms-580-server-open linux-modules-nvidia-580-server-open-generic nvidia-utils-580-server",
        ),
        (
            "jammy",
            V100,
            {},
            "ubuntu",
            "nvidia-headless-no-dkms-580-server linux-modules-nvidia-580-server-generic nvidia-utils-580-server",
        ),
        (
            "noble",
            H100,
            {"kernel": "6.11.0-29-generic"},
            "ubuntu",
            "nvidia-headless-no-dkms-580-server-open linux-modules-nvidia-580-server-open-generic-hwe-24.04 nvidia-utils-580-server",
        ),
        (
            "jammy",
            A100,
            {"kernel": "6.8.0-51-lowlatency"},
            "ubuntu",
            "nvidia-headless-no-dkms-580-server-open linux-modules-nvidia-580-server-open-lowlatency-hwe-22.04 nvidia-utils-580-server",
        ),
        (
            "noble",
            RTX_5090,
            {"kernel": "6.14.0-1010-aws"},
            "ubuntu",
            "nvidia-headless-no-dkms-580-server-open linux-modules-nvidia-580-server-open-aws nvidia-utils-580-server",
        ),
        (
            "noble",
            A100,
            {"driver": "535"},
            "ubuntu",
            "nvidia-headless-no-dkms-535-server linux-modules-nvidia-535-server-generic nvidia-utils-535-server",
        ),
        (
            "noble",
            RTX_5090,
            {"driver": "595"},
            "ubuntu",
            "nvidia-headless-no-dkms-595-server-open linux-modules-nvidia-595-server-open-generic nvidia-utils-595-server",
        ),
        (
            "bookworm",
            RTX_3090,
            {},
            "nvidia",
            "linux-image-amd64 linux-headers-amd64 nvidia-kernel-open-dkms nvidia-driver-cuda",
        ),
        ("trixie", V100, {}, "nvidia", "linux-image-amd64 linux-headers-amd64 nvidia-kernel-dkms nvidia-driver-cuda"),
        (
            "bookworm",
            T4,
            {"kernel": "6.1.0-28-cloud-amd64", "driver": "610"},
            "nvidia",
            "linux-image-cloud-amd64 linux-headers-cloud-amd64 nvidia-kernel-open-dkms nvidia-driver-cuda",
        ),
        (
            "bookworm",
            RTX_3090,
            {"driver": "535", "source": "distribution"},
            "debian",
            "linux-image-amd64 linux-headers-amd64 nvidia-kernel-dkms nvidia-smi libcuda1 nvidia-persistenced",
        ),
        (
            "noble",
            RTX_4090,
            {"source": "nvidia"},
            "nvidia",
            "linux-image-generic linux-headers-generic nvidia-dkms-580-open libnvidia-compute-580 nvidia-utils-580 nvidia-persistenced",
        ),
        (
            "noble",
            RTX_4090,
            {"source": "nvidia", "driver": "615"},
            "nvidia",
            "linux-image-generic linux-headers-generic nvidia-dkms-open libnvidia-compute nvidia-utils nvidia-persistenced",
        ),
        (
            "noble",
            V100,
            {"source": "nvidia"},
            "nvidia",
            "linux-image-generic linux-headers-generic nvidia-dkms-580 libnvidia-compute-580 nvidia-utils-580 nvidia-persistenced",
        ),
    ],
)
def test_the_driver_s_packages(release: str, gpu: str, changed: dict[str, str], source: str, packages: str) -> None:
    decision = decide(facts(gpu), wanted(release, **changed))
    assert decision.refusals == ()
    assert (decision.driver.source, " ".join(decision.driver.packages)) == (source, packages)
    assert decision.driver.leading in decision.driver.packages


def test_only_signed_modules_are_installed_under_secure_boot() -> None:
    assert decide(facts(RTX_4090, secure_boot=True), wanted("noble")).refusals == ()
    for release, changed in (("bookworm", {}), ("noble", {"source": "nvidia"})):
        assert "Secure Boot is on" in decide(facts(RTX_4090, secure_boot=True), wanted(release, **changed)).refusals[0]
        assert "mount efivarfs" in decide(facts(RTX_4090, secure_boot=None), wanted(release, **changed)).refusals[0]


@pytest.mark.parametrize(
    ("branch", "source", "pinning"), [("580", "nvidia", "nvidia-driver-pinning-580"), ("580", "auto", "")]
)
def test_nvidia_s_own_packages_are_held_at_their_branch_by_nvidia_s_package(
    branch: str, source: str, pinning: str
) -> None:
    assert decide(facts(RTX_4090), wanted("noble", driver=branch, source=source)).driver.pinning == pinning


@pytest.mark.parametrize(
    ("given", "asked", "reason"),
    [
        (facts(platform="wsl2"), wanted(), "the driver of WSL2 is that of Windows"),
        (facts(RTX_4090, platform="container"), wanted(), "a container uses the kernel and the driver of the machine"),
        (facts(RTX_4090), wanted(gpu_driver="provided"), "not ours to install (gpu_driver is provided)"),
        (facts(RTX_4090), wanted("sid"), "this host runs sid"),
        (facts(RTX_4090), wanted(driver="latest"), "write its three digits"),
        (facts(), wanted(), "no NVIDIA GPU on its PCI bus"),
        (facts(K80), wanted(), "older than Maxwell"),
        (facts(V100), wanted(driver="590"), 'up to branch 580 only: write nvidia_driver: "580"'),
        (facts(RTX_5090), wanted(driver="550"), "from branch 570 on"),
        (facts(V100, RTX_5090), wanted(), "no driver knows both"),
        (facts(RTX_4090), wanted(driver="470"), "older than 525"),
        (
            facts(RTX_4090),
            wanted(driver="570"),
            'Ubuntu has replaced its branch 570 by 580: write nvidia_driver: "580"',
        ),
        (facts(RTX_4090), wanted(driver="545"), "no branch 545: write 535 or 580"),
        (facts(RTX_4090), wanted(driver="555"), "no branch 555"),
        (facts(RTX_4090), wanted(driver="560"), "no branch 560"),
        (facts(RTX_4090), wanted(driver="590"), 'write nvidia_driver: "595"'),
        (facts(RTX_4090), wanted(present="installer /usr/bin/nvidia-uninstall\n"), "run `sudo nvidia-uninstall`"),
        (
            facts(RTX_4090),
            wanted(present="package libnvidia-compute-580 580.95.05-0ubuntu0~gpu24.04.1 installed\n"),
            "ppa-purge",
        ),
        (facts(RTX_4090), wanted(kernel="6.18.0-custom"), "6.18.0-custom is none of the distribution's"),
        (facts(RTX_4090), wanted("bookworm", kernel="6.1.0-microsoft"), "none of the distribution's"),
        (facts(RTX_4090), wanted("bookworm", source="distribution"), "of branch 535, not 580"),
        (facts(A100, nvswitches=6), wanted("bookworm", driver="535", source="distribution"), "no Fabric Manager"),
        (facts(RTX_4090), wanted("bookworm", driver="550"), "cannot be held at branch 550"),
    ],
)
def test_a_driver_is_refused_with_the_reason(given: dict[str, Any], asked: Wanted, reason: str) -> None:
    refusals = decide(given, asked).driver.refusals
    assert [text for text in refusals if reason in text] != [], refusals


def test_ubuntu_s_own_driver_is_not_taken_for_one_from_elsewhere() -> None:
    present = (
        "package libnvidia-compute-580-server 580.95.05-0ubuntu0.24.04.2 installed\n"
        "package libnvidia-compute-570  not-installed\n"
        "package libnvidia-compute-575 575.64.03-0ubuntu0~gpu24.04.1 config-files\n"
    )
    assert decide(facts(RTX_4090), wanted(present=present)).refusals == ()


def test_old_and_middle_aged_gpus_together_get_the_closed_modules() -> None:
    decision = decide(facts(V100, RTX_4090), wanted())
    assert (decision.refusals, decision.driver.open) == ((), False)


def test_without_a_wish_nothing_is_decided_and_nothing_refused() -> None:
    for platform in ("native", "container", "wsl2"):
        decision = decide(facts(platform=platform), wanted(driver=""))
        assert (decision.driver.packages, decision.refusals, decision.reboot) == ((), (), "")
        assert decision.repository is None


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (facts(H100, nvswitches=4), ("nvidia-fabricmanager-580", "nvidia-fabricmanager")),
        (facts(*[B200] * 8), ("nvidia-fabricmanager-580", "nvidia-fabricmanager")),
        (facts(B200), ()),
        (facts(*[H100] * 8), ()),
    ],
    ids=["H100 with switches", "8 × B200", "one B200 passed through", "8 × H100 PCIe"],
)
def test_machines_with_nvswitches_get_a_fabric_manager(given: dict[str, Any], names: tuple[str, ...]) -> None:
    assert decide(given, wanted()).driver.fabric_manager == names


def test_switches_behind_network_cards_get_their_subnet_manager() -> None:
    driver = decide(facts(*[B200] * 8), wanted()).driver
    assert "nvlsm" in driver.packages
    assert driver.modules == ("nvidia", "nvidia_uvm", "ib_umad")


RUNS = {"driver": "580.95.05", "installed": "580.95.05"}


@pytest.mark.parametrize(
    ("state", "changed", "reason"),
    [
        (RUNS, False, ""),
        (RUNS, True, ""),
        ({**RUNS, "nouveau": True}, False, "nouveau"),
        ({"nouveau": True}, True, "nouveau"),
        ({**RUNS, "installed": "580.105.08"}, True, "runs driver 580.95.05, and 580.105.08 is installed"),
        ({**RUNS, "installed": "580.105.08"}, False, "runs driver 580.95.05, and 580.105.08 is installed"),
        ({"installed": "580.95.05"}, True, "for the first time"),
        ({"installed": "580.95.05"}, False, ""),
        ({}, False, "another kernel"),
    ],
)
def test_a_reboot_is_needed_only_with_a_reason(state: dict[str, Any], changed: bool, reason: str) -> None:
    found = reboot(facts(RTX_4090, **state), changed=changed)
    assert (reason in found) if reason else (found == "")


def test_the_decision_foretells_the_reboot() -> None:
    assert "first time" in decide(facts(RTX_4090), wanted()).reboot
    assert decide(facts(RTX_4090, **RUNS), wanted()).reboot == ""


@pytest.mark.parametrize(
    ("release", "platform", "architecture", "folder", "key"),
    [
        ("jammy", "native", "x86_64", "ubuntu2204/x86_64", "3bf863cc.pub"),
        ("noble", "container", "x86_64", "ubuntu2404/x86_64", "3bf863cc.pub"),
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
        (facts(GTX_1080_TI, RTX_5090, platform="container"), {"toolkit": "13.0"}),
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
