"""Environments as data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpurig import catalogue, environments
from gpurig.errors import ConfigError

PROJECT = '[project]\nrequires-python = ">=3.11"\n[tool.gpurig]\ndisk_gb = 2\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "small"
    path.mkdir()
    (path / "pyproject.toml").write_text(PROJECT)
    (path / "requirements.lock").write_text("numpy==2.0 --hash=sha256:00\n")
    (path / "smoke.py").write_text("print()\n")
    return path


def test_an_environment_says_what_a_host_needs_to_know(folder: Path) -> None:
    found = environments.read(folder)
    assert (found.name, found.python, found.disk_gb, found.kernel) == ("small", ">=3.11", 2.0, False)
    assert found.files == ("pyproject.toml", "requirements.lock", "smoke.py")


def test_ipykernel_makes_it_a_kernel(folder: Path) -> None:
    (folder / "requirements.lock").write_text("ipykernel==7.4.0 --hash=sha256:00\n")
    assert environments.read(folder).kernel


def test_another_smoke_test_is_brought_over_without_a_new_installation(folder: Path) -> None:
    before = environments.read(folder)
    (folder / "smoke.py").write_text("print(1)\n")
    after = environments.read(folder)
    assert after.digest != before.digest
    assert after.packages_digest == before.packages_digest


@pytest.mark.parametrize(
    ("name", "text"),
    [("requirements.lock", "numpy==2.1 --hash=sha256:01\n"), ("pyproject.toml", PROJECT.replace("3.11", "3.12"))],
)
def test_another_lock_or_python_means_another_installation(folder: Path, name: str, text: str) -> None:
    before = environments.read(folder)
    (folder / name).write_text(text)
    assert environments.read(folder).packages_digest != before.packages_digest


def test_hidden_files_are_no_part_of_it(folder: Path) -> None:
    before = environments.read(folder)
    (folder / ".cache").write_text("x")
    assert environments.read(folder) == before


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.lock", "smoke.py"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=re.escape(name)):
        environments.read(folder)


@pytest.mark.parametrize(
    "text",
    ["[project", '[project]\nname = "x"\n', PROJECT.replace("2", '"much"'), PROJECT.replace("[tool.gpurig]", "[tool]")],
)
def test_a_broken_project_file_is_named(folder: Path, text: str) -> None:
    (folder / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"pyproject\.toml"):
        environments.read(folder)


@pytest.mark.parametrize("name", catalogue.environments())
def test_a_shipped_environment_is_whole_and_its_lock_names_no_place(name: str) -> None:
    path = catalogue.ROOT / "environments" / name
    assert environments.read(path).name == name
    lock = (path / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert "://" not in lock
