"""What the role nvidia_driver tells apt, and what it is told about a host."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import Any

import pytest

from tests.templates.rendering import evaluate, render
from tests.unit.machines import facts

GPU = facts("10de:2684")


def host(release: str, **changed: Any) -> dict[str, Any]:
    kernel = {"noble": "6.8.0-51-generic", "trixie": "6.12.48+deb13-amd64"}[release]
    distribution = {"noble": "Ubuntu", "trixie": "Debian"}[release]
    facts = {"distribution": distribution, "distribution_release": release, "kernel": kernel, "architecture": "x86_64"}
    found = {"gpurig_gpu": GPU, "gpurig_capabilities": {"gpu_driver": "managed", "init": "systemd"}}
    return {**found, "ansible_facts": facts, **changed}


@pytest.mark.parametrize(
    ("gpu_driver", "branch"), [("managed", "580"), ("provided", ""), ("windows", ""), ("none", "")]
)
def test_a_driver_is_installed_only_where_it_is_ours(gpu_driver: str, branch: str) -> None:
    given = host("noble", gpurig_capabilities={"gpu_driver": gpu_driver, "init": "systemd"})
    assert evaluate("nvidia_driver", "nvidia_driver_branch", **given) == branch


@pytest.mark.parametrize(
    ("release", "variables", "pin"),
    [
        ("noble", {}, "release l=NVIDIA CUDA"),
        ("trixie", {}, "release o=Debian"),
        ("noble", {"nvidia_driver_source": "nvidia"}, "release o=Ubuntu"),
        ("trixie", {"nvidia_driver_source": "distribution", "nvidia_driver_branch": "550"}, "release l=NVIDIA CUDA"),
    ],
)
def test_the_driver_s_other_origin_is_shut_out(release: str, variables: dict[str, str], pin: str) -> None:
    text = render("nvidia_driver", "preferences.j2", **host(release, **variables))
    assert f"Pin: {pin}\nPin-Priority: -1\n" in text


def test_the_preferences_name_every_package_of_a_driver_and_no_other() -> None:
    text = render("nvidia_driver", "preferences.j2", **host("noble"))
    patterns = next(line for line in text.splitlines() if line.startswith("Package: ")).split()[1:]

    def named(package: str) -> bool:
        return any(fnmatch(package, pattern) for pattern in patterns)

    for package in (
        "nvidia-utils-580-server",
        "libnvidia-compute-580-server",
        "linux-modules-nvidia-580-open-generic",
        "nvidia-open",
    ):
        assert named(package), package
    for package in (
        "nvidia-container-toolkit",
        "libnvidia-container1",
        "nvidia-cuda-toolkit",
        "nvidia-settings",
        "nvtop",
    ):
        assert not named(package), package


@pytest.mark.parametrize(("release", "kernel_too"), [("noble", True), ("trixie", False)])
def test_the_kernel_is_kept_with_modules_that_belong_to_it(release: str, kernel_too: bool) -> None:
    text = render("nvidia_driver", "unattended-upgrades.j2", **host(release))
    kept = re.findall(r'"(\^.+)";', text)
    assert any(re.match(rule, "libnvidia-compute-580-server") for rule in kept)
    assert any(re.match(rule, "linux-image-6.8.0-52-generic") for rule in kept) is kernel_too
    assert not any(re.match(rule, "openssl") for rule in kept)


def test_a_refusal_names_its_reasons() -> None:
    found = evaluate(
        "nvidia_driver", "_nvidia_driver_chosen", **host("trixie", gpurig_gpu={**GPU, "secure_boot": True})
    )
    assert "Secure Boot is on" in found["refusals"][0]
