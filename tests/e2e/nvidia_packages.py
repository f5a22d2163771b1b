"""What NVIDIA's repositories and Ubuntu's hold of drivers, as far as names, versions and dependencies go. Simulated."""

from __future__ import annotations

from tests.e2e.apt_repository import UNIT, Package

FABRIC_MANAGER = {"usr/lib/systemd/system/nvidia-fabricmanager.service": UNIT}


def pinning(branch: str) -> Package:
    """As NVIDIA's documentation on version locking describes it."""
    name = f"nvidia-driver-pinning-{branch}"
    rule = f"Package: nvidia-* libnvidia-*\nPin: version {branch}.*\nPin-Priority: 1000\n"
    return Package(name, f"{branch}-1", files={f"etc/apt/preferences.d/{name}": rule})


def driver(version: str) -> list[Package]:
    """NVIDIA's for Debian."""
    unit = {"usr/lib/systemd/system/nvidia-persistenced.service": UNIT}
    return [
        Package("nvidia-driver-cuda", version, f"nvidia-persistenced (= {version}), libnvidia-ml1 (= {version})"),
        Package("nvidia-kernel-open-dkms", version),
        Package("nvidia-kernel-dkms", version),
        Package("nvidia-persistenced", version, files=unit),
        Package("libnvidia-ml1", version),
        Package("nvidia-open", version, f"nvidia-driver-cuda (= {version}), nvidia-kernel-open-dkms (= {version})"),
        Package("cuda-drivers", version, f"nvidia-driver-cuda (= {version}), nvidia-kernel-dkms (= {version})"),
        Package("nvidia-fabricmanager", version, files=FABRIC_MANAGER),
    ]


def toolkit(version: str) -> list[Package]:
    """A toolkit, and the packages that bring a driver with it."""
    name = version.replace(".", "-")
    return [
        Package(f"cuda-toolkit-{name}", f"{version}.2-1", f"cuda-nvcc-{name}, cuda-cudart-dev-{name}"),
        Package(f"cuda-nvcc-{name}", f"{version}.88-1"),
        Package(f"cuda-cudart-dev-{name}", f"{version}.96-1"),
        Package(f"cuda-runtime-{name}", f"{version}.2-1", "nvidia-open"),
        Package(f"cuda-{name}", f"{version}.2-1", f"cuda-toolkit-{name}, cuda-runtime-{name}"),
    ]


CUDA = [
    pinning("580"),
    pinning("590"),
    *driver("580.95.05-1"),
    *driver("590.48.01-1"),
    *toolkit("13.0"),
    *toolkit("13.1"),
    Package("cuda", "13.1.2-1", "cuda-13-1"),
]
"""Of NVIDIA's folder debian12. For Ubuntu it offers a newer driver than Ubuntu does."""

WSL = [
    *toolkit("13.0"),
    *toolkit("13.1"),
    Package("cuda", "13.1.2-1", "cuda-13-1"),
    Package("cuda-drivers", "590.48.01-1", "libnvidia-compute-590"),
]

DISTRIBUTION = [
    Package("linux-image-amd64", "99"),
    Package("linux-headers-amd64", "99"),
    # The same name as NVIDIA's, and newer.
    Package("nvidia-driver-cuda", "999.1-1"),
    Package("libnvidia-compute-590", "590.48.01-0ubuntu1"),
    Package("nvtop", "99", "libnvidia-compute-590"),
    *[
        Package(f"nvidia-utils-{branch}-server", version)
        for branch, version in (("580", "580.95.05-0ubuntu0.24.04.2"), ("590", "590.48.01-0ubuntu0.24.04.1"))
    ],
    Package("nvidia-headless-no-dkms-580-server-open", "580.95.05-0ubuntu0.24.04.2", "libnvidia-compute-580-server"),
    Package("libnvidia-compute-580-server", "580.95.05-0ubuntu0.24.04.2"),
    Package(
        "linux-modules-nvidia-580-server-open-generic",
        "6.8.0-51.52",
        "linux-modules-nvidia-580-server-open-6.8.0-51-generic",
    ),
    Package("linux-modules-nvidia-580-server-open-6.8.0-51-generic", "6.8.0-51.52"),
    Package("nvidia-fabricmanager-580", "580.105.08-0ubuntu0.24.04.1", files=FABRIC_MANAGER),
    Package("nvidia-fabricmanager-580", "580.95.05-0ubuntu0.24.04.1", files=FABRIC_MANAGER),
]
"""Debian's and Ubuntu's in one list; its origin says which of them it is."""

CDI_UNITS = {
    "usr/lib/systemd/system/nvidia-cdi-refresh.service": UNIT,
    "usr/lib/systemd/system/nvidia-cdi-refresh.path": "[Path]\nPathChanged=/usr/bin/nvidia-ctk\n[Install]\nWantedBy=multi-user.target\n",
}

CONTAINER_TOOLKIT = [
    package
    for version in ("1.17.8-1", "1.18.2-1", "1.19.1-1")
    for package in (
        Package(
            "nvidia-container-toolkit",
            version,
            f"nvidia-container-toolkit-base (= {version}), libnvidia-container-tools (= {version})",
        ),
        Package("nvidia-container-toolkit-base", version, files=CDI_UNITS),
        Package("libnvidia-container-tools", version, f"libnvidia-container1 (= {version})"),
        Package("libnvidia-container1", version),
    )
]
