"""Folders of environments for tests."""

from __future__ import annotations

import tomllib
from pathlib import Path

from gpurig import lockfile, new_environment


def write(
    folder: Path,
    *,
    python: str = ">=3.11",
    disk_gb: float = 1,
    lock: str = "numpy==2.4.6 --hash=sha256:00\n",
    noted: str = "",
    more: str = "",
) -> Path:
    """An environment whose lock matches. noted: what the lock says instead of what it was made from. more: lines of tool.gpurig."""
    folder.mkdir()
    text = f'[project]\nrequires-python = "{python}"\n[tool.gpurig]\ndisk_gb = {disk_gb}\n{more}'
    (folder / "pyproject.toml").write_text(text)
    (folder / "smoke.py").write_text("print()\n")
    digest = noted or lockfile.project_digest(tomllib.loads(text))
    (folder / "requirements.lock").write_text(f"{lockfile.MADE_FROM}{digest}\n{lock}")
    return folder


def make(folder: Path, origin: object = "") -> Path:
    """What `rig env new` makes."""
    return new_environment.make(folder.parent, folder.name, str(origin), report=print)
