"""The environments that gpurig ships: what must not change by accident."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from gpurig import catalogue, environments, lockfile

ROOT = catalogue.ROOT / "environments"
TORCH = ("pytorch", "recbole", "tirex", "pagating")

RECBOLE = {
    "recbole": "1.2.1", "torch": "2.13.0", "numpy": "1.26.4", "scipy": "1.12.0", "pandas": "2.3.3",
    "scikit-learn": "1.7.2", "ray": "2.6.3", "setuptools": "80.10.2", "colorlog": "4.7.2", "colorama": "0.4.4",
    "thop": "0.1.1.post2209072238",
}  # fmt: skip
"""Without any one of these RecBole cannot be imported, or fails later."""


def locked(name: str, python: str = "3.11.2", platform: str = "linux") -> dict[str, str]:
    """Package → version on a 64-bit Linux or a Mac."""
    machine = {"linux": "x86_64", "darwin": "arm64"}[platform]
    markers = {
        "implementation_name": "cpython", "os_name": "posix", "platform_machine": machine,
        "platform_python_implementation": "CPython", "platform_system": platform.title(), "sys_platform": platform,
        "python_full_version": python, "python_version": ".".join(python.split(".")[:2]),
        "implementation_version": python, "platform_release": "6.1", "platform_version": "1",
    }  # fmt: skip
    return lockfile.pins((ROOT / name / "requirements.lock").read_text(), markers)


def test_recbole_is_the_set_that_works() -> None:
    found = locked("recbole")
    assert {name: found[name] for name in RECBOLE} == RECBOLE
    assert environments.read(ROOT / "recbole").python == ">=3.10,<3.12"


def test_only_recbole_may_load_checkpoints_that_run_code() -> None:
    allowed = [
        name for name in catalogue.environments() if "TORCH_FORCE" in str(environments.read(ROOT / name).variables)
    ]
    assert allowed == ["recbole"]
    assert environments.read(ROOT / "recbole").variables == {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}


def test_tirex_is_not_the_other_package_of_that_name() -> None:
    found = locked("tirex")
    assert found["tirex-ts"] == "1.4.2"
    assert "tirex" not in found


@pytest.mark.parametrize("name", ["pytorch", "tirex", "pagating"])
def test_pytorch_is_of_the_series_that_every_driver_has_a_build_of(name: str) -> None:
    assert re.fullmatch(r"2\.14\.\d+", locked(name)["torch"])


@pytest.mark.parametrize("name", TORCH)
def test_linux_gets_a_build_for_cuda_13_and_a_mac_none(name: str) -> None:
    for python in ("3.11.2", "3.13.1") if name != "recbole" else ("3.10.6", "3.11.2"):
        found = locked(name, python)
        assert {"triton", "nvidia-cudnn-cu13", "nvidia-nccl-cu13", "cuda-toolkit"} <= set(found)
        assert found["cuda-toolkit"].startswith("13.0.")
    assert not [
        package
        for package in locked(name, platform="darwin")
        if package.startswith(("nvidia-cu", "nvidia-nccl", "cuda", "triton"))
    ]


@pytest.mark.parametrize("name", TORCH)
def test_each_is_a_kernel(name: str) -> None:
    assert environments.read(ROOT / name).kernel


@pytest.mark.parametrize("name", ["pytorch", "tirex"])
def test_what_serves_a_model_has_what_the_server_needs(name: str) -> None:
    assert (ROOT / name / "service.py").is_file()
    assert {"fastapi", "uvicorn", "prometheus-client", "pydantic"} <= set(locked(name))


def test_nanochat_is_one_commit_with_its_own_lock() -> None:
    source = environments.read(ROOT / "nanochat").source
    assert source is not None
    assert re.fullmatch(r"92d63d4[0-9a-f]{33}", source.commit)
    assert (source.lock, dict(source.extras)) == ("uv.lock", {"gpu": "gpu", "cpu": "cpu"})


def test_nanochats_chat_page_is_of_the_last_commit_that_had_one() -> None:
    data = yaml.safe_load((catalogue.ROOT / "roles/services/vars/nanochat.yml").read_text())
    assert data["services_nanochat"]["checkout"]["commit"].startswith("21a7774")


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/*.py")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_program_fits_the_style_and_its_oldest_python(path: Path) -> None:
    text = path.read_text()
    oldest = re.match(r">=3\.(\d+)", environments.read(path.parent).python)
    assert oldest is not None
    tree = ast.parse(text, feature_version=(3, int(oldest[1])))
    assert ast.get_docstring(tree)
    assert len(text.splitlines()) <= 250
    assert max(map(len, text.splitlines())) <= 120
