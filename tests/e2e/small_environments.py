"""Environments that take no time to install, and stand-ins for what they are made of."""

from __future__ import annotations

import base64
import tomllib
import zipfile
from pathlib import Path

from gpurig import lockfile, locking

SMOKE = "import json\nprint(json.dumps({'task': 'none', 'figure': 1, 'seconds': 0.1}))\n"


def write(folder: Path, text: str = "", *, python: str = ">=3.11", dependencies: str = '"six"') -> Path:
    """An environment that takes no time. text: further lines of tool.gpurig."""
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{folder.name}"\nversion = "1"\nrequires-python = "{python}"\n'
        f"dependencies = [{dependencies}]\n[tool.gpurig]\ndisk_gb = 0.1\n{text}"
    )
    (folder / "smoke.py").write_text(SMOKE)
    return folder


def locked(folder: Path) -> Path:
    locking.lock(folder, report=print)
    return folder


def noted(folder: Path) -> str:
    return f"{lockfile.MADE_FROM}{lockfile.project_digest(tomllib.loads((folder / 'pyproject.toml').read_text()))}\n"


def stand_in(folder: Path, name: str, version: str, file: str, text: str) -> Path:
    """A wheel with one file."""
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(file, text)
        if file.endswith("version.py"):
            archive.writestr(file.replace("version.py", "__init__.py"), "")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def encoded(file: Path) -> str:
    return base64.encodebytes(file.read_bytes()).decode().strip()


REPOSITORY = """
rm -rf /srv/repository && git init --quiet --initial-branch=main /srv/repository && cd /srv/repository
git config user.email test@example.invalid && git config user.name test
echo 'print("first")' > program.py && git add . && git commit --quiet -m first && git rev-parse HEAD
echo 'print("second")' > program.py && git add . && git commit --quiet -m second && git rev-parse HEAD
chown -R USER /srv/repository
"""


def source(url: str, commit: str, more: str = "") -> str:
    return f'[tool.gpurig.source]\nurl = "{url}"\ncommit = "{commit}"\n{more}'
