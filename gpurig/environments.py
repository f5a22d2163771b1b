"""An ML environment as data: environments/<name>/ with its pyproject.toml, hashed lock and smoke test."""

from __future__ import annotations

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from gpurig.errors import ConfigError

REQUIRED = ("pyproject.toml", "requirements.lock", "smoke.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """What a host needs to know to install an environment.

    python: the versions it runs on, as in `requires-python`.
    disk_gb: free disk space that an installation needs beside the one in use, in GB.
    kernel: whether it can serve as a Jupyter kernel.
    files: names of its files, all directly in its folder.
    packages_digest: changes when the virtual environment must be built anew.
    digest: changes when anything of it must be brought to a host again.
    """

    name: str
    python: str
    disk_gb: float
    kernel: bool
    files: tuple[str, ...]
    packages_digest: str
    digest: str


def read(folder: Path) -> Environment:
    """The environment in a folder. Raises ConfigError that names the file and the key at fault."""
    missing = [name for name in REQUIRED if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"Environment {folder.name}: {folder} lacks {', '.join(missing)}.")
    project = folder / "pyproject.toml"
    try:
        data = tomllib.loads(project.read_text(encoding="utf-8"))
        python = data["project"]["requires-python"]
        disk_gb = float(data["tool"]["gpurig"]["disk_gb"])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{project}: {error}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{project}: needs project.requires-python and a number tool.gpurig.disk_gb ({error})"
        ) from error
    lock = (folder / "requirements.lock").read_text(encoding="utf-8")
    files = tuple(sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")))
    return Environment(
        name=folder.name,
        python=python,
        disk_gb=disk_gb,
        kernel=re.search(r"^ipykernel==", lock, re.MULTILINE) is not None,
        files=files,
        packages_digest=_digest(python.encode(), lock.encode()),
        digest=_digest(*(part for name in files for part in (name.encode(), (folder / name).read_bytes()))),
    )


def _digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]
