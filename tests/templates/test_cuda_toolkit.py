"""What the role cuda_toolkit tells apt."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

import pytest
import yaml

from gpurig import catalogue
from tests.templates.rendering import evaluate, render
from tests.templates.test_nvidia_driver import GPU, host

TOOLKIT = ("cuda-toolkit-13-0", "cuda-nvcc-13-0", "libcublas-13-0", "nvidia-container-toolkit", "cuda-cudart-dev-13-0")
BUNDLES = ("cuda", "cuda-13-0", "cuda-runtime-13-0", "cuda-drivers", "cuda-drivers-580")
DRIVERS = ("libnvidia-compute-590", "nvidia-open", "libnvidia-ml1", "nvidia-utils-580", "libcuda1", "cuda-compat-13-0")


def refused(gpu_driver: str, **facts: Any) -> list[str]:
    """The packages, as patterns, that apt may not install."""
    capabilities = {"gpu_driver": gpu_driver, "init": "systemd"}
    given = host("noble", gpurig_capabilities=capabilities, gpurig_gpu={**GPU, **facts}, cuda_toolkit_version="13.0")
    text = render("cuda_toolkit", "preferences.j2", nvidia_driver_branch="580", **given)
    assert "Pin: version *\nPin-Priority: -1\n" in text
    return next(line for line in text.splitlines() if line.startswith("Package: ")).split()[1:]


@pytest.mark.parametrize("gpu_driver", ["windows", "provided", "none"])
def test_where_the_driver_is_not_ours_none_for_linux_can_be_installed(gpu_driver: str) -> None:
    patterns = refused(gpu_driver)
    for package in BUNDLES + DRIVERS:
        assert any(fnmatch(package, pattern) for pattern in patterns), package
    for package in TOOLKIT:
        assert not any(fnmatch(package, pattern) for pattern in patterns), package


def test_in_wsl2_drivers_are_refused_without_a_toolkit_too() -> None:
    given = host("noble", gpurig_capabilities={"gpu_driver": "windows", "init": "systemd"}, cuda_toolkit_version="")
    text = render("cuda_toolkit", "preferences.j2", nvidia_driver_branch="", **given)
    patterns = next(line for line in text.splitlines() if line.startswith("Package: ")).split()[1:]
    for package in (
        *BUNDLES,
        *DRIVERS,
        "libnvidia-gl-580",
        "nvidia-modprobe",
        "nvidia-persistenced",
        "nvidia-driver-cuda",
    ):
        assert any(fnmatch(package, pattern) for pattern in patterns), package
    for package in (*TOOLKIT, "libnvidia-container1", "libnvidia-container-tools"):
        assert not any(fnmatch(package, pattern) for pattern in patterns), package


@pytest.mark.parametrize(
    ("gpu_driver", "version", "taken"),
    [
        ("windows", "", ["keep_out.yml"]),
        ("windows", "13.0", ["toolkit.yml"]),
        ("provided", "", []),
        ("managed", "13.0", ["toolkit.yml"]),
    ],
)
def test_the_role_acts_on_every_host_in_wsl2(gpu_driver: str, version: str, taken: list[str]) -> None:
    tasks = yaml.safe_load((catalogue.ROOT / "roles/cuda_toolkit/tasks/main.yml").read_text())
    given = host("noble", gpurig_capabilities={"gpu_driver": gpu_driver}, cuda_toolkit_version=version)
    files = [
        task["ansible.builtin.include_tasks"]["file"]
        for task in tasks
        if evaluate("cuda_toolkit", task["when"], **given)
    ]
    assert files == taken


def test_where_the_driver_is_ours_only_the_bundles_are_refused() -> None:
    patterns = refused("managed")
    assert all(any(fnmatch(package, pattern) for pattern in patterns) for package in BUNDLES)
    assert not any(fnmatch(package, pattern) for pattern in patterns for package in DRIVERS[:4] + TOOLKIT)
