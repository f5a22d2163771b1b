"""The roles for GPU software on a real host with the real apt, against simulated repositories and injected facts about GPUs.

The host is a container, told to be a machine of its own with GPUs. No NVIDIA package is installed anywhere here.
"""

from __future__ import annotations

import base64
import io
import json
import secrets
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpurig import config, lifecycle
from gpurig.stack import Stack
from tests.e2e.apt_repository import Signer, build
from tests.e2e.configured import Configured
from tests.e2e.conftest import remove_containers
from tests.e2e.nvidia_packages import CONTAINER_TOOLKIT, CUDA, DISTRIBUTION, WSL
from tests.e2e.test_configure import recap

ADDRESS = "http://127.0.0.1:8099"
RTX_4090 = "10de:2684"
H100 = "10de:2330"
MACHINE = {"gpu_driver": "managed", "init": "systemd", "kernel": "own", "privilege": "sudo"}

CLEAN = """
systemctl stop nvidia-fabricmanager nvidia-persistenced nvidia-cdi-refresh.path 2>/dev/null || true
dpkg-query -W -f '${Package} ${Maintainer}\\n' | awk '/simulated@example.org/ {print $1}' | xargs -r dpkg --purge --force-all >/dev/null
rm -f /etc/apt/sources.list.d/gpurig-* /etc/apt/keyrings/gpurig-* /etc/apt/preferences.d/gpurig-* /etc/apt/apt.conf.d/60gpurig-*
rm -f /etc/modprobe.d/gpurig-nouveau.conf /etc/profile.d/gpurig-cuda.sh /etc/docker/daemon.json /etc/default/docker
"""


def gpu(**changed: Any) -> dict[str, Any]:
    """A machine of its own with an RTX 4090 whose driver runs."""
    found = {
        "platform": "native",
        "driver": "580.95.05",
        "installed": "580.95.05",
        "nouveau": False,
        "secure_boot": False,
    }
    return {**found, "nvswitches": 0, "devices": [], "pci": [RTX_4090], "problem": "", **changed}


class Machine:
    """The host, and how its roles are run."""

    def __init__(self, host: Configured, fingerprint: str) -> None:
        self.host, self._fingerprint = host, fingerprint

    def play(
        self, tags: str, facts: dict[str, Any], *options: str, **variables: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run roles with these facts. capabilities, where given, replace the machine's."""
        capabilities = MACHINE | variables.pop("capabilities", {})
        given = {
            "gpurig_gpu": facts,
            "gpurig_capabilities": capabilities,
            "nvidia_driver_repository": ADDRESS,
            "cuda_toolkit_repository": ADDRESS,
            "container_engine_repository": ADDRESS,
            "container_engine_key": self._fingerprint,
            "nvidia_driver_repository_key": self._fingerprint,
            "cuda_toolkit_repository_key": self._fingerprint,
            "_nvidia_driver_kernel": "6.1.0-28-amd64",
            **variables,
        }
        return self.host.playbook("site.yml", f"--tags={tags}", *options, "--extra-vars", json.dumps(given))

    def packages(self) -> dict[str, str]:
        """Simulated packages that are installed."""
        asked = "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status} ${Maintainer}\\n'"
        rows = [line.split() for line in self.host.root(asked).splitlines()]
        return {row[0]: row[1] for row in rows if row[2] == "installed" and "simulated@example.org" in row[-1]}

    def simulate(self, *packages: str) -> str:
        """What apt would do if somebody installed these."""
        return self.host.root(f"apt-get -s install {' '.join(packages)} 2>&1 || true")


def serve(host: Configured, folder: Path, signer: Signer) -> None:
    """Put the repositories on the host's own loopback, as NVIDIA lays them out; the distribution's is known to apt from the start."""
    for name in ("debian12", "ubuntu2404"):
        build(folder / name / "x86_64", "NVIDIA", "NVIDIA CUDA", CUDA, signer)
    build(folder / "wsl-ubuntu/x86_64", "NVIDIA", "NVIDIA CUDA", WSL, signer)
    build(
        folder / "stable/deb/amd64",
        "https://nvidia.github.io/libnvidia-container",
        "simulated",
        CONTAINER_TOOLKIT,
        signer,
    )
    build(folder / "distribution", "Debian", "Debian", DISTRIBUTION, signer)
    (folder / "gpgkey").write_text(signer.public)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(folder, "srv/packages")
    host.root(
        f"""
        base64 -d <<'END' | tar -C / -xzf -
{base64.encodebytes(packed.getvalue()).decode()}END
        systemd-run --quiet --unit simulated-packages python3 -m http.server --bind 127.0.0.1 --directory /srv/packages 8099
        printf 'deb [signed-by=/srv/packages/gpgkey.asc] {ADDRESS}/distribution /\\n' > /etc/apt/sources.list.d/simulated.list
        cp /srv/packages/gpgkey /srv/packages/gpgkey.asc
        chmod -R a+rX /srv/packages
        """
    )


@pytest.fixture(scope="module")
def machine(e2e_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    root = tmp_path_factory.mktemp("drivers")
    project = f"e2e-{secrets.token_hex(4)}"
    (root / "Pulumi.yaml").write_text(f"name: {project}\nruntime: python\n")
    (root / "Pulumi.test.yaml").write_text("config: {gpurig:hosts: {gpu: {provider: container}}}\n")
    stack = Stack(project=project, name="test", root=root, home=e2e_home)
    signer = Signer(root / "gpg")
    try:
        made = Configured(stack, lifecycle.ensure(stack, "gpu", config.load(stack).hosts["gpu"], report=print))
        done = made.playbook("site.yml", "--tags=base", "--extra-vars", '{"base_packages_extra": ["kmod"]}')
        assert done.returncode == 0, done.stdout
        serve(made, root / "repositories", signer)
        yield Machine(made, signer.fingerprint)
    finally:
        remove_containers(project, e2e_home)


@pytest.fixture
def clean(machine: Machine) -> Iterator[Machine]:
    yield machine
    machine.host.root(CLEAN)


def done(run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The counts of a run that must have worked."""
    counts = recap(run)
    assert counts["failed"] == 0, run.stdout
    return counts


UBUNTU = {"_nvidia_driver_release": "noble", "_nvidia_driver_kernel": "6.8.0-51-generic"}


def test_the_driver_on_debian_is_nvidia_s_of_its_branch_and_a_second_run_changes_nothing(clean: Machine) -> None:
    foretold = clean.play("nvidia_driver", gpu(driver="", installed=""), "--check", "--diff")
    assert done(foretold)["changed"] > 0
    assert "nvidia-driver-pinning-580" in foretold.stdout
    assert "for the first time" in foretold.stdout
    assert clean.packages() == {}
    assert clean.host.root("ls /etc/apt/sources.list.d") == "simulated.list\n"

    assert done(clean.play("nvidia_driver", gpu()))["changed"] > 0
    assert {name: version for name, version in clean.packages().items() if "nvidia" in name} == {
        "nvidia-driver-pinning-580": "580-1",
        "nvidia-driver-cuda": "580.95.05-1",
        "nvidia-kernel-open-dkms": "580.95.05-1",
        "nvidia-persistenced": "580.95.05-1",
        "libnvidia-ml1": "580.95.05-1",
    }
    assert clean.host.root("systemctl is-active nvidia-persistenced") == "active\n"
    for options in ([], ["--check", "--diff"]):
        assert done(clean.play("nvidia_driver", gpu(), *options))["changed"] == 0

    # Held at its branch and its origin, whatever is upgraded.
    assert "nvidia" not in clean.host.root("apt-get -s dist-upgrade | grep ^Inst || true")
    assert "Candidate: 580.95.05-1" in clean.host.root("apt-cache policy nvidia-driver-cuda")
    upgrades = clean.host.root("apt-config dump Unattended-Upgrade::Package-Blacklist")
    assert '"^nvidia"' in upgrades
    assert "linux-image" not in upgrades  # DKMS compiles for new kernels


def test_nouveau_stays_where_apt_has_no_driver(clean: Machine) -> None:
    """Without either of them the next boot would have no display."""
    run = clean.play("nvidia_driver", gpu(driver="", installed=""), nvidia_driver_branch="615")
    assert recap(run)["failed"] == 1
    assert "No package matching 'nvidia-driver-pinning-615'" in run.stdout
    assert clean.packages() == {}
    assert "contrib" in clean.host.root("cat /etc/apt/sources.list.d/gpurig-debian.sources")
    assert clean.host.root("ls /etc/modprobe.d | grep nouveau || true") == ""


def test_another_branch_replaces_the_one_that_is_there(clean: Machine) -> None:
    done(clean.play("nvidia_driver", gpu()))
    newer = gpu(driver="590.48.01", installed="590.48.01")
    assert done(clean.play("nvidia_driver", newer, nvidia_driver_branch="590"))["changed"] > 0
    found = clean.packages()
    assert found["nvidia-driver-cuda"] == "590.48.01-1"
    assert found["nvidia-kernel-open-dkms"] == "590.48.01-1"
    assert "nvidia-driver-pinning-580" not in found
    assert done(clean.play("nvidia_driver", newer, nvidia_driver_branch="590"))["changed"] == 0


def test_ubuntu_s_signed_driver_with_the_fabric_manager_of_its_version(clean: Machine) -> None:
    switched = gpu(pci=[H100] * 8, nvswitches=4, secure_boot=True)
    assert done(clean.play("nvidia_driver", switched, **UBUNTU))["changed"] > 0
    found = clean.packages()
    assert found["nvidia-utils-580-server"] == "580.95.05-0ubuntu0.24.04.2"
    assert found["nvidia-fabricmanager-580"] == "580.95.05-0ubuntu0.24.04.1"  # not the newer one
    assert "linux-modules-nvidia-580-server-open-6.8.0-51-generic" in found
    assert "nvidia-driver-cuda" not in found
    assert clean.host.root("systemctl is-active nvidia-fabricmanager") == "active\n"
    assert done(clean.play("nvidia_driver", switched, **UBUNTU))["changed"] == 0
    assert '"^linux-image"' in clean.host.root("apt-config dump Unattended-Upgrade::Package-Blacklist")
    # Somebody upgraded the driver by hand, and apt has no Fabric Manager for that one.
    clean.host.root(
        "sed -i 's/^Version: 580.95.05-0ubuntu0.24.04.2/Version: 580.126.09-0ubuntu1/' /var/lib/dpkg/status"
    )
    run = clean.play("nvidia_driver", switched, **UBUNTU)
    assert "no Fabric Manager of the driver's version 580.126.09" in " ".join(run.stdout.split())


def test_on_ubuntu_nothing_of_the_driver_comes_from_nvidia_s_repository(clean: Machine) -> None:
    done(clean.play("nvidia_driver,cuda_toolkit", gpu(), cuda_toolkit_version="13.0", **UBUNTU))
    assert "cuda-toolkit-13-0" in clean.packages()
    for package in ("nvidia-open", "nvidia-kernel-open-dkms", "cuda-drivers", "cuda", "cuda-13-0"):
        assert "Inst" not in clean.simulate(package), package


def test_a_host_that_needs_a_reboot_is_not_rebooted_unasked(clean: Machine) -> None:
    held = gpu(driver="", installed="", nouveau=True)
    said = " ".join(clean.play("nvidia_driver", held).stdout.split())
    assert "must be rebooted before its GPU works: the kernel's own driver nouveau holds the GPU" in said
    assert "nvidia_driver_allow_reboot: true" in said
    assert "blacklist nouveau" in clean.host.root("cat /etc/modprobe.d/gpurig-nouveau.conf")
    assert recap(clean.play("nvidia_driver", held))["failed"] == 1  # the reason is still there
    done(clean.play("nvidia_driver", gpu()))  # somebody rebooted it
    assert clean.host.root("systemctl is-active nvidia-persistenced") == "active\n"


@pytest.mark.parametrize(
    ("tags", "facts", "variables", "reason"),
    [
        ("nvidia_driver", gpu(platform="wsl2"), {}, "the driver of WSL2 is that of Windows"),
        ("nvidia_driver", gpu(platform="container"), {}, "a container uses the kernel and the driver of the machine"),
        ("nvidia_driver", gpu(secure_boot=True), {}, "Secure Boot is on"),
        ("nvidia_driver", gpu(), {"nvidia_driver_branch": "390"}, "390 is older than 525"),
        ("nvidia_driver", gpu(), {"nvidia_driver_branch": "new"}, "write its three digits"),
        ("cuda_toolkit", gpu(), {"cuda_toolkit_version": "13.0", "nvidia_driver_branch": "535"}, "needs driver 580"),
        ("cuda_toolkit", gpu(platform="container"), {"cuda_toolkit_version": "13.0"}, "that its image brings"),
        ("container_engine", gpu(platform="container"), {"container_engine_name": "docker"}, "a container itself"),
    ],
    ids=["wsl2", "container", "secure-boot", "old", "no-branch", "toolkit", "toolkit-in-container", "engine"],
)
def test_a_refusal_changes_nothing(
    machine: Machine, tags: str, facts: dict[str, Any], variables: dict[str, str], reason: str
) -> None:
    listed = "find /etc/apt /etc/modprobe.d /etc/docker -type f 2>/dev/null | sort || true"
    before = machine.host.root(listed)
    run = machine.play(tags, facts, **variables)
    assert reason in " ".join(run.stdout.split())
    assert (recap(run)["failed"], recap(run)["changed"]) == (1, 0)
    assert machine.host.root(listed) == before


def test_a_key_of_another_fingerprint_adds_no_repository(clean: Machine) -> None:
    nvidia = "EB693B3035CD5710E231E123A4B469963BF863CC"
    run = clean.play("nvidia_driver", gpu(), nvidia_driver_repository_key=nvidia)
    assert f"expected the key {nvidia}" in run.stdout
    assert clean.host.root("ls /etc/apt/sources.list.d") == "simulated.list\n"


def test_the_toolkit_in_wsl2_never_brings_a_driver(clean: Machine) -> None:
    wish = {"capabilities": {"gpu_driver": "windows"}, "cuda_toolkit_version": "13.0"}
    inside = gpu(platform="wsl2", installed="", pci=[])
    assert done(clean.play("cuda_toolkit", inside, "--check", "--diff", **wish))["changed"] > 0
    assert clean.packages() == {}
    assert done(clean.play("cuda_toolkit", inside, **wish))["changed"] > 0
    assert set(clean.packages()) == {"cuda-toolkit-13-0", "cuda-nvcc-13-0", "cuda-cudart-dev-13-0"}
    for options in ([], ["--check", "--diff"]):
        assert done(clean.play("cuda_toolkit", inside, *options, **wish))["changed"] == 0
    assert "wsl-ubuntu/x86_64" in clean.host.root("cat /etc/apt/sources.list.d/gpurig-cuda.sources")
    for package in ("cuda", "cuda-13-0", "cuda-drivers", "cuda-runtime-13-0", "libnvidia-compute-590", "nvtop=99"):
        assert "Inst" not in clean.simulate(package), package
    assert "Inst cuda-toolkit-13-1" in clean.simulate("cuda-toolkit-13-1")  # a toolkit may be had
    assert "13-1" not in clean.host.root("apt-get -s dist-upgrade")
    assert clean.host.root(". /etc/profile.d/gpurig-cuda.sh; echo $CUDA_HOME") == "/usr/local/cuda-13.0\n"


def test_without_the_preferences_a_driver_would_come(clean: Machine) -> None:
    """What the test above would not notice if apt refused for another reason."""
    wish = {"capabilities": {"gpu_driver": "windows"}, "cuda_toolkit_version": "13.0"}
    done(clean.play("cuda_toolkit", gpu(platform="wsl2", installed="", pci=[]), **wish))
    clean.host.root("rm /etc/apt/preferences.d/gpurig-cuda-toolkit")
    assert "Inst libnvidia-compute-590" in clean.simulate("nvtop=99")
    assert "Inst libnvidia-compute-590" in clean.simulate("cuda-drivers")


@pytest.mark.full
def test_podman_is_debian_s_and_gets_gpus_by_cdi(clean: Machine) -> None:
    wish = {"container_engine_name": "podman", "container_engine_toolkit_version": "1.17.8-1"}
    assert done(clean.play("container_engine", gpu(), "--check", "--diff", **wish))["changed"] > 0
    assert done(clean.play("container_engine", gpu(), **wish))["changed"] > 0
    assert set(clean.packages().values()) == {"1.17.8-1"}
    assert "podman version" in clean.host.root("podman --version")
    assert clean.host.root("systemctl is-enabled nvidia-cdi-refresh.path") == "enabled\n"
    for options in ([], ["--check", "--diff"]):
        assert done(clean.play("container_engine", gpu(), *options, **wish))["changed"] == 0
    del wish["container_engine_toolkit_version"]  # the default, not the newest
    assert done(clean.play("container_engine", gpu(), **wish))["changed"] > 0
    assert set(clean.packages().values()) == {"1.18.2-1"}


def test_docker_s_settings_keep_what_is_there_and_its_api_stays_off_the_network(clean: Machine) -> None:
    wish = {"container_engine_name": "docker"}
    clean.host.root('mkdir -p /etc/docker; echo \'{"data-root": "/data"}\' > /etc/docker/daemon.json')
    assert done(clean.play("container_engine_configure", gpu(), **wish))["changed"] == 1
    settings = json.loads(clean.host.root("cat /etc/docker/daemon.json"))
    assert settings["data-root"] == "/data"
    assert settings["runtimes"]["nvidia"]["path"] == "nvidia-container-runtime"
    assert done(clean.play("container_engine_configure", gpu(), **wish))["changed"] == 0
    clean.host.root("echo 'DOCKER_OPTS=\"-H tcp://0.0.0.0:2375\"' > /etc/default/docker")
    said = " ".join(clean.play("container_engine_configure", gpu(), **wish).stdout.split())
    assert "Docker's API is told to listen at tcp://0.0.0.0:2375 (/etc/default/docker)" in said
    assert "docker context create gpu --docker host=ssh://gpu" in said
