"""Makes an environment's locks from its pyproject.toml: by uv, for every platform, with the hash of each file."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from packaging.specifiers import SpecifierSet

from gpurig import conda, environment_keys, lockfile
from gpurig.environments import CONDA, LOCK, PROJECT
from gpurig.errors import ConfigError, RigError
from gpurig.mistakes import did_you_mean

BUILD = re.compile(r"cpu|cu\d{2,3}")

BOUND = re.compile(r"nvidia-|cuda-|triton$|pytorch-triton")
"""Packages that belong to one build of PyTorch: their versions in the default lock say nothing about another build."""

MINORS = range(8, 30)
"""Minor versions of Python 3 that are looked through for the oldest one that an environment runs on."""


def lock(folder: Path, *, build: str = "", upgrade: bool = False, report: Callable[[str], object]) -> list[Path]:
    """Write an environment's lock; the default one is followed by every further build that is there. Returns what was written.

    build: only that further build, `cu126` or `cpu`, with the versions of the default lock. upgrade: newer versions of
    indirect dependencies too. Raises ConfigError for what cannot be locked, RigError where it did not work; a lock is
    replaced whole or not at all.
    """
    data = _project(folder)
    if (folder / CONDA[0]).is_file():
        if build:
            raise ConfigError(
                f"{folder / CONDA[0]}: a conda environment has no builds; write the packages for it there."
            )
        return conda.lock(folder, report=report)
    if build and not BUILD.fullmatch(build):
        raise ConfigError(f"--build {build}: write cpu, or CUDA's version as in cu126.")
    if build and not (folder / LOCK).is_file():
        raise ConfigError(f"{folder / LOCK}: missing; `rig env lock {folder.name}` comes first.")
    if build and not lockfile.torch_of((folder / LOCK).read_text(encoding="utf-8")):
        raise ConfigError(f"--build {build}: {folder / LOCK} has no PyTorch, and only that has builds.")
    further = sorted(path.name.split(".")[1] for path in folder.glob("requirements.*.lock"))
    written = []
    for wanted in [build] if build else ["", *further]:
        report(f"{folder.name}: locking{f' for {wanted}' if wanted else ''}")
        written.append(_compile(folder, data, wanted, upgrade=upgrade))
    return written


def unknown(folder: Path) -> ConfigError:
    """What is said of an environment that is not there."""
    close = did_you_mean(folder.name, (path.parent.name for path in folder.parent.glob(f"*/{PROJECT}")))
    return ConfigError(
        f"{folder / PROJECT}: there is none{close}. `rig env new {folder.name}` makes a new environment; "
        "`rig env list` shows all."
    )


def least_python(specifier: str) -> str:
    """The oldest minor version of Python 3 that a specifier such as `>=3.10,<3.12` admits: `3.10`."""
    admitted = SpecifierSet(specifier)
    found = (minor for minor in MINORS if any(f"3.{minor}.{patch}" in admitted for patch in (0, 99)))
    minor = next(found, None)
    if minor is None:
        raise ConfigError(f"requires-python {specifier!r} admits no Python from 3.{MINORS[0]} on.")
    return f"3.{minor}"


def constraints(default: str) -> str:
    """What a further build takes over from the default lock: the versions of all packages that every build has."""
    pins = re.findall(r"^([A-Za-z0-9][^\s=\[]*)(?:\[[^\]]*\])?(==[^\\\n]*?)\s*(?:\\)?$", default, re.MULTILINE)
    return "".join(f"{name}{_public(rest)}\n" for name, rest in pins if not BOUND.match(name))


def _public(rest: str) -> str:
    """`==2.14.1+cu130 ; …` without its local part, which another build has another one of."""
    return re.sub(r"^(==[^+\s;]+)\+\S+", r"\1", rest)


def _project(folder: Path) -> dict[str, object]:
    file = folder / PROJECT
    if not file.is_file():
        raise unknown(folder)
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: this is not TOML: {error}.") from error
    settings, problems = environment_keys.check(data, str(file))
    if problems:
        raise ConfigError("\n".join(problems))
    if settings.own_lock:
        raise ConfigError(
            f"{file}: the lock of its repository makes this environment (tool.gpurig.source.lock); nothing is to be locked here."
        )
    return data


def _compile(folder: Path, data: dict[str, object], build: str, *, upgrade: bool) -> Path:
    target = folder / (f"requirements.{build}.lock" if build else LOCK)
    python = least_python(data["project"]["requires-python"])  # type: ignore[index]  # checked by _project
    with tempfile.TemporaryDirectory() as scratch:
        new = Path(scratch) / LOCK
        if target.is_file():  # whose versions are kept where they still fit
            shutil.copy(target, new)
        command = [_uv(), "pip", "compile", str(folder / PROJECT), f"--project={folder}", f"--output-file={new}"]
        command += [
            "--universal",
            f"--python-version={python}",
            "--generate-hashes",
            "--no-emit-index-url",
            "--no-header",
        ]
        command += ["--no-annotate", "--quiet", *(["--upgrade"] if upgrade else [])]
        if build:
            given = Path(scratch) / "constraints.txt"
            given.write_text(constraints((folder / LOCK).read_text(encoding="utf-8")), encoding="utf-8")
            command += [f"--torch-backend={build}", f"--constraints={given}"]
        _run(command, folder, target)
        text = new.read_text(encoding="utf-8")
        _installable(text, folder, target)
        if build and (found := lockfile.build_of(text)) != build:
            raise RigError(
                f"{target}: was not written: what uv found is built for {found or 'nothing in particular'}, not for {build}. "
                f"Does this PyTorch have such a build? gpurig/torch_builds.toml lists them."
            )
        new.write_text(f"{lockfile.MADE_FROM}{lockfile.project_digest(data)}\n{text}", encoding="utf-8")
        beside = target.with_name(f".{target.name}.new")
        shutil.copy(new, beside)
        beside.replace(target)
    return target


def _installable(text: str, folder: Path, target: Path) -> None:
    """Raise ConfigError where a host could not install this lock, or it holds nothing to install."""
    key = f"{folder / PROJECT}: project.dependencies"
    problems = [
        f"{key}: {entry!r} is no version of a package with a hash, so no host could install it; name a version that a "
        "package index has, or write a repository as tool.gpurig.source."
        for entry in lockfile.without_hash(text)
    ]
    if not lockfile.entries(text):
        problems = [f'{key}: there is nothing to install; write a list, such as ["numpy"].']
    if problems:
        raise ConfigError("\n".join([*problems, f"{target}: was not written."]))


def _run(command: Sequence[str], folder: Path, target: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RigError(f"{target}: could not be made from {folder / PROJECT}. uv says:\n{done.stderr.strip()}")


def _uv() -> str:
    """The uv that is pinned for the project, beside its Python."""
    own = Path(sys.executable).with_name("uv")
    found = str(own) if own.is_file() else shutil.which("uv")
    if not found:
        raise RigError("uv is missing beside this Python: `make setup` installs it.")
    return found
