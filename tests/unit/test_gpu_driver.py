"""The decision about the driver, as a table of hosts."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.gpu_driver import generation, reboot
from gpurig.gpu_software import Wanted, decide
from tests.unit.machines import (
    A100,
    B200,
    GTX_1080_TI,
    H100,
    K80,
    M4000,
    RTX_3090,
    RTX_4090,
    RTX_5090,
    T4,
    V100,
    facts,
    wanted,
)


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
