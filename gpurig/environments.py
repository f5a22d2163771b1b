"""An ML environment as data: environments/<name>/ with its pyproject.toml, locks and smoke test. See docs/add-an-environment.md."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from gpurig import conda, environment_keys, lockfile
from gpurig.environment_keys import Settings, Source
from gpurig.errors import ConfigError

PROJECT, LOCK, SMOKE = "pyproject.toml", "requirements.lock", "smoke.py"

CONDA = (conda.FILE, conda.MANIFEST, conda.LOCK)
"""A folder with the first of these is a conda environment; pixi made the other two of it."""

How = Literal["lock", "source", "conda"]
"""What makes the virtual environment: a lock of ours, the own lock of the repository that it is about, or pixi's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """One way in which an environment can be installed.

    file: the lock's name: in the environment's folder, or in the source where that brings it.
    build: what its PyTorch is built for: `cu130`, `cpu` …; empty where that does not matter, or is not known here.
    torch: PyTorch's version without its local part; empty where there is none, or it is not known here.
    extra: the source's optional dependencies that belong to it.
    default: taken from the usual package index, without a word about a build to uv.
    digest: changes when the virtual environment must be built anew.
    """

    file: str
    build: str
    torch: str = ""
    extra: str = ""
    default: bool = True
    digest: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """What a host needs to know to install an environment.

    python: the versions it runs on, as in `requires-python`.
    disk_gb: free disk space that an installation needs beside the one in use, in GB.
    smoke_seconds: how long its smoke test may take.
    variables: process environment of whatever runs from it, and of nothing else. `~/` at the start is the user's home.
    kernel: whether it can serve as a Jupyter kernel.
    files: names of its files, all directly in its folder.
    source: the repository that is checked out beside the virtual environment.
    locks: the builds it can be installed as, the default one first.
    packages_digest: changes when the default build must be built anew.
    digest: changes when anything of it must be brought to a host again.
    """

    name: str
    python: str
    disk_gb: float
    smoke_seconds: int = 300
    variables: Mapping[str, str] = field(default_factory=dict)
    kernel: bool
    files: tuple[str, ...]
    source: Source | None = None
    how: How = "lock"
    locks: tuple[Lock, ...]
    packages_digest: str
    digest: str

    def to_dict(self) -> dict[str, Any]:
        """As plain dicts, lists, strings and numbers, for Ansible."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain


def read(folder: Path, source: Mapping[str, Any] | None = None) -> Environment:
    """The environment in a folder. source: url and commit that replace those in its pyproject.toml.

    Raises ConfigError with every mistake in it, each naming the file and the key.
    """
    project = folder / PROJECT
    if not project.is_file():
        raise ConfigError(f"Environment {folder.name}: {folder} lacks {PROJECT}.")
    try:
        data = tomllib.loads(project.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{project}: this is not TOML: {error}.") from error
    settings, problems = environment_keys.check(data, str(project), source)
    how: How = "conda" if (folder / CONDA[0]).is_file() else "source" if settings.own_lock else "lock"
    problems += _lacking(folder, how)
    if problems:
        raise ConfigError("\n".join(problems))
    files = tuple(sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")))
    locks = _of_source(settings) if how == "source" else _of_folder(folder, settings, how)
    commit = settings.source.commit.encode() if settings.source else b""
    return Environment(
        name=folder.name,
        python=settings.python,
        disk_gb=settings.disk_gb,
        smoke_seconds=settings.smoke_seconds,
        variables=settings.variables,
        kernel=lockfile.has(_default_text(folder, how), "ipykernel"),
        files=files,
        source=settings.source,
        how=how,
        locks=locks,
        packages_digest=locks[0].digest,
        digest=_digest(commit, *(part for name in files for part in (name.encode(), (folder / name).read_bytes()))),
    )


def stale(folder: Path) -> list[str]:
    """What is wrong with the locks of a readable environment: those that were not made from what stands there now."""
    if (folder / conda.FILE).is_file():
        if not conda.stale(folder):
            return []
        return [f"{folder / conda.LOCK}: does not match {folder / conda.FILE}. Run `rig env lock {folder.name}`."]
    wanted = lockfile.project_digest(tomllib.loads((folder / PROJECT).read_text(encoding="utf-8")))
    return [
        f"{lock}: does not match {folder / PROJECT}, whose dependencies, requires-python or tool.uv were changed since. "
        f"Run `rig env lock {folder.name}{f' --build {build}' if (build := _named(lock.name)) else ''}`."
        for lock in (folder / LOCK, *sorted(folder.glob("requirements.*.lock")))
        if lock.is_file() and lockfile.made_from(lock.read_text(encoding="utf-8")) != wanted
    ]


def _lacking(folder: Path, how: How) -> list[str]:
    wanted = {"lock": (LOCK, SMOKE), "source": (SMOKE,), "conda": (*CONDA, SMOKE)}[how]
    advice = {
        LOCK: f"`rig env lock {folder.name}` makes it",
        **dict.fromkeys(CONDA[1:], f"`rig env lock {folder.name}` makes it"),
    }
    return [
        f"Environment {folder.name}: {folder} lacks {name}{f'; {advice[name]}' if name in advice else ''}."
        for name in wanted
        if not (folder / name).is_file()
    ]


def _of_folder(folder: Path, settings: Settings, how: How) -> tuple[Lock, ...]:
    if how == "conda":
        digest = _digest(*((folder / name).read_bytes() for name in CONDA[1:]))
        return (Lock(file=CONDA[-1], build="", digest=digest),)
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("requirements.*lock"))}
    return tuple(
        Lock(
            file=name,
            build=_named(name) or lockfile.build_of(texts[name]),
            torch=lockfile.torch_of(texts[name]),
            default=name == LOCK,
            digest=_digest(settings.python.encode(), lockfile.bare(texts[name]).encode()),
        )
        for name in sorted(texts, key=lambda name: (name != LOCK, name))
    )


def _of_source(settings: Settings) -> tuple[Lock, ...]:
    source = settings.source
    assert source is not None  # noqa: S101 (own_lock says so)
    cuda = f"cu{source.cuda.replace('.', '')}" if source.cuda else ""
    return tuple(
        Lock(
            file=source.lock,
            build="cpu" if kind == "cpu" else cuda,
            torch=source.torch,
            extra=extra,
            digest=_digest(settings.python.encode(), source.commit.encode(), extra.encode()),
        )
        for kind, extra in (sorted(source.extras.items(), reverse=True) or [("", "")])
    )


def _default_text(folder: Path, how: How) -> str:
    if how == "source":
        return ""
    return (folder / (CONDA[-1] if how == "conda" else LOCK)).read_text(encoding="utf-8")


def _named(lock: str) -> str:
    """The build in a lock's name, `requirements.cu126.lock`; empty for the default one."""
    return lock.removeprefix("requirements.").removesuffix("lock").rstrip(".")


def _digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]
