"""What a user's own environment is made from: a project, a requirements.txt, a conda environment.yml, or a repository."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gpurig import conda, environment_keys, requirements_file
from gpurig.errors import ConfigError

PYTHON = ">=3.11,<3.13"
"""For what does not say which Python it wants: the versions for which most packages have wheels."""

KERNEL = "ipykernel"
"""What makes an environment a Jupyter kernel."""

SHORT = re.compile(r"[0-9a-f]{4,39}")
"""A commit's hash that was cut off."""

COPIED = ("smoke.py", "service.py", "requirements.lock", "requirements.*.lock")
"""What a folder may bring of an environment beside its pyproject.toml."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What an environment is made from.

    python: as in requires-python. dependencies: what is to be locked. packages: what its smoke test imports.
    constraints: limits for indirect dependencies. source: keys of tool.gpurig.source.
    project: a pyproject.toml to take over as it is. files: what to copy, by name.
    """

    python: str = PYTHON
    dependencies: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)
    project: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)


def read(origin: str, report: Callable[[str], object]) -> Origin:
    """Look at what an environment shall be made from.

    origin: empty for a new one; a folder with a pyproject.toml, requirements.txt or environment.yml, or one of these
    files; or a repository as URL@COMMIT. Raises ConfigError with all that cannot be taken over.
    """
    if not origin:
        return Origin(dependencies=(KERNEL,), packages=(KERNEL,))
    url, _, commit = origin.rpartition("@")
    if environment_keys.URL.fullmatch(url) and environment_keys.COMMIT.fullmatch(commit):
        with tempfile.TemporaryDirectory() as scratch:
            report(f"fetching {url} at {commit[:12]}")
            _fetch(url, commit, Path(scratch))
            return _with_kernel(_of_repository(Path(scratch), {"url": url, "commit": commit}), report)
    path = Path(origin).expanduser()
    if path.is_dir():
        return _with_kernel(_of_folder(path), report)
    if path.is_file():
        return _with_kernel(_of_file(path), report)
    if environment_keys.URL.fullmatch(url) and SHORT.fullmatch(commit):
        raise ConfigError(
            f"--from {origin}: the commit {commit} is too short; write its full hash of 40 characters, as "
            "`git rev-parse` shows it."
        )
    raise ConfigError(
        f"--from {origin}: there is no such file or folder. A repository is written as URL@COMMIT, with the full hash of "
        "40 characters."
    )


def _with_kernel(found: Origin, report: Callable[[str], object]) -> Origin:
    """With ipykernel among the dependencies that are written anew; where they are somebody else's, that is only said."""
    listed = found.dependencies or found.packages
    if any(_name(line) == KERNEL for line in listed):
        return found
    if found.project or conda.FILE in found.files or "lock" in found.source:
        report(f"without {KERNEL} among its dependencies it will be no Jupyter kernel")
        return found
    report(f"{KERNEL} added to the dependencies, so that it can be a Jupyter kernel; take it out if it need not")
    return replace(found, dependencies=(*found.dependencies, KERNEL))


def _name(line: str) -> str:
    try:
        return canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return ""


def _of_file(file: Path) -> Origin:
    if file.suffix in (".yml", ".yaml"):
        return _of_conda(file)
    if file.name == "pyproject.toml":
        return _of_folder(file.parent)
    wanted, constraints = requirements_file.read(file)
    return Origin(dependencies=tuple(wanted), packages=tuple(wanted), constraints=tuple(constraints))


def _of_folder(folder: Path) -> Origin:
    project = folder / "pyproject.toml"
    if project.is_file():
        data = _project(project)
        return Origin(
            packages=tuple(data["project"].get("dependencies", ())),
            project=project.read_text(encoding="utf-8"),
            files={path.name: path.read_bytes() for pattern in COPIED for path in sorted(folder.glob(pattern))},
        )
    for name in (conda.FILE, "requirements.txt"):
        if (folder / name).is_file():
            return _of_file(folder / name)
    raise ConfigError(f"{folder}: has neither pyproject.toml nor {conda.FILE} nor requirements.txt.")


def _of_conda(file: Path) -> Origin:
    try:
        listed = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
        plain = [
            re.split(r"[\s=<>!~\[]", line.rpartition("::")[2], maxsplit=1) for line in listed if isinstance(line, str)
        ]
        by_pip = [line for entry in listed if isinstance(entry, dict) for line in entry.get("pip", ())]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{file}: this is no conda environment, which has a list `dependencies` ({error})."
        ) from error
    versions = {parts[0]: parts[-1].lstrip("=") for parts in plain}
    wanted = re.match(r"3\.\d+", versions.get("python", ""))
    return Origin(
        python=f"=={wanted[0]}.*" if wanted else PYTHON,
        packages=tuple(by_pip),  # conda's own names are not those of Python packages
        files={conda.FILE: file.read_bytes()},
    )


def _of_repository(folder: Path, source: Mapping[str, Any]) -> Origin:
    """A repository with a uv.lock is installed by that; of another one the dependencies are taken over."""
    lock = folder / "uv.lock"
    if not lock.is_file():
        found = _of_folder(folder)
        if not found.project:
            return replace(found, source=source)
        data = _project(folder / "pyproject.toml")
        own = data["project"]
        if problems := environment_keys.unlockable(data, f"{source['url']}, pyproject.toml"):
            raise ConfigError("\n".join(problems))
        return Origin(
            python=own.get("requires-python", PYTHON),
            dependencies=found.packages,
            packages=found.packages,
            source=source,
        )
    own = _project(folder / "pyproject.toml")["project"]
    keys: dict[str, Any] = {**source, "lock": lock.name}
    if extras := {name: name for name in ("gpu", "cpu") if name in own.get("optional-dependencies", {})}:
        keys["extras"] = extras
    if torch := re.search(r'name = "torch"\nversion = "([\d.]+)\+cu(\d+)(\d)"', lock.read_text(encoding="utf-8")):
        keys |= {"torch": torch[1], "cuda": f"{torch[2]}.{torch[3]}"}
    return Origin(python=own.get("requires-python", PYTHON), packages=tuple(own.get("dependencies", ())), source=keys)


def _project(file: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read as TOML: {error}.") from error
    if not isinstance(data.get("project"), dict):
        raise ConfigError(f"{file}: has no table [project], in which dependencies are looked for.")
    return data


def _fetch(url: str, commit: str, folder: Path) -> None:
    """Check out one commit. Hosts that serve no single commits are asked for everything."""
    quiet = {**os.environ, "GIT_TERMINAL_PROMPT": "0"}  # who is not let in is told so, and not asked for a password
    git = ["git", "-C", str(folder), "-c", "advice.detachedHead=false"]
    for command in (
        ["init", "--quiet"],
        ["fetch", "--quiet", "--depth=1", url, commit],
        ["checkout", "--quiet", commit],
    ):
        done = subprocess.run([*git, *command], capture_output=True, text=True, check=False, env=quiet)
        if done.returncode and command[0] == "fetch":
            done = subprocess.run(
                [*git, "fetch", "--quiet", url, "+refs/*:refs/fetched/*"],
                capture_output=True,
                text=True,
                check=False,
                env=quiet,
            )
        if done.returncode:
            raise ConfigError(f"--from {url}@{commit}: git says: {done.stderr.strip()}")
