"""Makes the folder of a user's own environment; gpurig.origins says from what."""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gpurig import environment_keys, origins
from gpurig.catalogue import ROOT
from gpurig.errors import ConfigError
from gpurig.origins import Origin

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")

SMOKE = ROOT / "templates" / "smoke.py.txt"

DISK_GB, DISK_GB_TORCH = 3, 12
"""A first guess at the room that an installation takes: without PyTorch and its CUDA libraries, and with them."""


def make(root: Path, name: str, origin: str, *, report: Callable[[str], object]) -> Path:
    """Make the folder of an environment with this name below `root`, and return it. origin: see gpurig.origins.read.

    Raises ConfigError, and leaves nothing, where that cannot be done or the folder exists.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is not a good name of an environment; use lower-case letters, digits and `-`.")
    folder = root / name
    if folder.exists():
        raise ConfigError(f"{folder} exists already; nothing was changed. Choose another name, or remove it first.")
    found = origins.read(origin, report)
    project = completed(found) if found.project else written(name, found)
    file = str(Path(origin) / "pyproject.toml") if Path(origin).is_dir() else origin
    if problems := environment_keys.check(tomllib.loads(project), file)[1]:
        raise ConfigError("\n".join(problems))
    files = {"smoke.py": smoke(found.packages).encode(), **found.files, "pyproject.toml": project.encode()}
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}-") as scratch:
        new = Path(scratch) / name
        new.mkdir()
        for file, content in files.items():
            (new / file).write_bytes(content)
        new.rename(folder)
    return folder


def written(name: str, found: Origin) -> str:
    """A new pyproject.toml."""
    lines = ["[project]", f'name = "{name}"', 'version = "1"', f"requires-python = {_toml(found.python)}"]
    lines += ["dependencies = [", *(f"  {_toml(line)}," for line in found.dependencies), "]", ""]
    if found.constraints:
        lines += [
            "[tool.uv]",
            "constraint-dependencies = [",
            *(f"  {_toml(line)}," for line in found.constraints),
            "]",
            "",
        ]
    lines += own_keys(found.packages)
    if found.source:
        lines += ["", "[tool.gpurig.source]", *(f"{key} = {_toml(value)}" for key, value in found.source.items())]
    return "\n".join(lines) + "\n"


def completed(found: Origin) -> str:
    """A project's own pyproject.toml, with the keys that it lacks."""
    text = found.project
    data = tomllib.loads(text)
    if "requires-python" not in data["project"]:
        text = re.sub(
            r"(?m)^\[project\][^\n]*\n",
            lambda line: f"{line[0]}requires-python = {_toml(found.python)}\n",
            text,
            count=1,
        )
    if "gpurig" not in data.get("tool", {}):
        text = "\n".join([text.rstrip(), "", *own_keys(found.packages), ""])
    return text


def own_keys(packages: Iterable[str]) -> list[str]:
    """The lines of [tool.gpurig] to begin with."""
    size = DISK_GB_TORCH if "torch" in names(packages) else DISK_GB
    return [
        "[tool.gpurig]",
        "# Free disk space that an installation needs beside the one in use, in GB. A guess: correct it after the first one.",
        f"disk_gb = {size}",
    ]


def smoke(packages: Iterable[str]) -> str:
    """A smoke test that imports these packages, those for other platforms left out."""
    found = names(packages)
    return SMOKE.read_text(encoding="utf-8").replace("PACKAGES = ()", f"PACKAGES = {json.dumps(found)}")


def names(packages: Iterable[str]) -> list[str]:
    """The names in requirements that hold on every platform."""
    found = []
    for line in packages:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None:
            found.append(canonicalize_name(requirement.name))
    return sorted(set(found))


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False)
