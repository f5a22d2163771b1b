"""The keys of an environment's pyproject.toml that gpurig reads, and what is said about a mistake in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

T = TypeVar("T")

SMOKE_SECONDS = 300

OWN = ("disk_gb", "smoke_seconds", "variables", "source")
OF_SOURCE = ("url", "commit", "lock", "extras", "torch", "cuda")

URL = re.compile(r"(https|ssh|git|file)://\S+|[\w.-]+@[\w.-]+:\S+|/\S+")
COMMIT = re.compile(r"[0-9a-f]{40}")

AT_BUILD = ("dependencies", "optional-dependencies", "requires-python")
"""Keys of [project] that count here, and that `dynamic` would leave to a build of the project, which nobody runs."""

ELSEWHERE = {
    "sources": "no host could install what is not on a package index. Name a version that is there; a repository is "
    "written as tool.gpurig.source, and `rig env lock NAME --build cu126` chooses PyTorch's build",
    **dict.fromkeys(
        ("index", "index-url", "extra-index-url", "find-links", "no-index"),
        "a lock does not hold the address, so hosts would not look there. `rig env lock NAME --build cu126` chooses "
        "PyTorch's build; for a mirror set UV_DEFAULT_INDEX, here as an environment variable and for hosts in the role "
        "variable environments_variables",
    ),
}
"""Keys of tool.uv that take packages from somewhere else: why they are refused, and what to write."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A repository at one commit, checked out on the host as `source` in the environment's folder.

    lock: `uv.lock` where the repository's own lock makes the virtual environment; empty where ours does.
    extras: the repository's optional dependencies for a host with a GPU (`gpu`) and for one without (`cpu`).
    torch, cuda: PyTorch's version in that lock, and the CUDA that it is built for; empty where nobody said. They let a
    driver that is too old be told before anything changes.
    """

    url: str = ""
    commit: str = ""
    lock: str = ""
    extras: Mapping[str, str] = field(default_factory=dict)
    torch: str = ""
    cuda: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What pyproject.toml says; see gpurig.environments.Environment."""

    python: str = ""
    disk_gb: float = 0.0
    smoke_seconds: int = SMOKE_SECONDS
    variables: Mapping[str, str] = field(default_factory=dict)
    source: Source | None = None

    @property
    def own_lock(self) -> bool:
        """Whether the source's own lock makes the virtual environment."""
        return self.source is not None and bool(self.source.lock)


class _Reader:
    """Takes values out of tables, and notes what is wrong with each."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.problems: list[str] = []

    def wrong(self, key: str, said: str) -> None:
        self.problems.append(f"{self._file}: {key}: {said}.")

    def table(self, data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        found = data.get(key.rpartition(".")[2], {})
        if isinstance(found, Mapping):
            return found
        self.wrong(key, f"found {found!r}; write a table, as in `[{key}]`")
        return {}

    def unknown(self, data: Mapping[str, Any], key: str, allowed: Iterable[str]) -> None:
        for name in data:
            if name not in allowed:
                close = get_close_matches(name, list(allowed), n=1)
                meant = f" (did you mean {close[0]!r}?)" if close else ""
                self.wrong(f"{key}.{name}", f"unknown key{meant}; allowed here: {', '.join(allowed)}")

    def value(self, data: Mapping[str, Any], key: str, good: Callable[[Any], bool], rule: str, default: T | None) -> T:
        """The value, or the default. Without a default it is required."""
        name = key.rpartition(".")[2]
        if name not in data:
            if default is None:
                self.wrong(key, f"missing; write {rule}")
            return default  # type: ignore[return-value]  # never used where a problem was noted
        if not good(data[name]):
            self.wrong(key, f"found {data[name]!r}; write {rule}")
        return data[name]  # type: ignore[no-any-return]  # `good` looked at its type


def check(data: Mapping[str, Any], file: str, instead: Mapping[str, Any] | None = None) -> tuple[Settings, list[str]]:
    """What a parsed pyproject.toml says, and its mistakes: each names the file and the key, and says what to write.

    instead: url and commit that replace those of tool.gpurig.source, as of the role variable environments_sources.
    """
    reader = _Reader(file)
    project = reader.table(data, "project")
    python: str = reader.value(
        project, "project.requires-python", _python, 'the versions of Python, such as ">=3.11,<3.13"', None
    )
    dependencies: list[Any] = reader.value(project, "project.dependencies", _list, 'a list, such as ["numpy"]', [])
    for line in dependencies if _list(dependencies) else ():
        if problem := _requirement(line):
            reader.wrong("project.dependencies", f"{line!r}: {problem}")
    own = reader.table(reader.table(data, "tool"), "tool.gpurig")
    reader.unknown(own, "tool.gpurig", OWN)
    disk_gb: Any = reader.value(
        own, "tool.gpurig.disk_gb", _positive, "the room that an installation needs in GB, such as 2", None
    )
    smoke_seconds: int = reader.value(
        own,
        "tool.gpurig.smoke_seconds",
        lambda value: _positive(value) and value == int(value),
        "whole seconds, such as 300",
        SMOKE_SECONDS,
    )
    variables = reader.table(own, "tool.gpurig.variables")
    for name, value in variables.items():
        _variable(reader, name, value)
    settings = Settings(
        python=str(python),
        disk_gb=float(disk_gb) if _positive(disk_gb) else 0.0,
        smoke_seconds=int(smoke_seconds) if _positive(smoke_seconds) else SMOKE_SECONDS,
        variables={name: str(value) for name, value in variables.items()},
        source=_source(reader, own, instead, Path(file).parent.name) if "source" in own or instead else None,
    )
    return settings, list(dict.fromkeys([*reader.problems, *unlockable(data, file)]))


def unlockable(data: Mapping[str, Any], file: str) -> list[str]:
    """The keys of a parsed pyproject.toml because of which its lock would hold less than is wanted, or nothing."""
    reader = _Reader(file)
    dynamic: Any = reader.table(data, "project").get("dynamic")
    for name in AT_BUILD:
        if _list(dynamic) and name in dynamic:
            reader.wrong(
                "project.dynamic",
                f"found {name!r}, which only a build of the project would fill in; take it out of there, and write "
                f"project.{name} itself",
            )
    uv = reader.table(reader.table(data, "tool"), "tool.uv")
    for key, table in (("tool.uv", uv), ("tool.uv.pip", reader.table(uv, "tool.uv.pip"))):
        for name in (name for name in ELSEWHERE if name in table):
            reader.wrong(f"{key}.{name}", f"take it out: {ELSEWHERE[name]}")
    return reader.problems


def _source(reader: _Reader, own: Mapping[str, Any], instead: Mapping[str, Any] | None, name: str) -> Source:
    key = "tool.gpurig.source"
    here = reader.table(own, key)
    reader.unknown(here, key, OF_SOURCE)
    if instead is not None:
        override = _Reader("environments_sources")
        override.unknown(instead, name, ("url", "commit"))
        reader.problems += override.problems
    data = {**here, **(instead or {})}
    extras = reader.table(data, f"{key}.extras")
    reader.unknown(extras, f"{key}.extras", ("gpu", "cpu"))
    return Source(
        url=str(
            reader.value(data, f"{key}.url", _matches(URL), 'the repository\'s address, such as "https://…"', None)
        ),
        commit=str(
            reader.value(
                data,
                f"{key}.commit",
                _matches(COMMIT),
                "the commit's full hash, 40 characters 0-9 and a-f in quotes",
                None,
            )
        ),
        lock=reader.value(data, f"{key}.lock", lambda value: value == "uv.lock", '"uv.lock", or leave it out', ""),
        extras={name: str(extra) for name, extra in extras.items()},
        torch=reader.value(
            data, f"{key}.torch", _matches(re.compile(r"\d+\.\d+(\.\d+)?")), 'a version, such as "2.9.1"', ""
        ),
        cuda=reader.value(data, f"{key}.cuda", _matches(re.compile(r"\d+\.\d")), 'a version, such as "12.8"', ""),
    )


def _variable(reader: _Reader, name: str, value: Any) -> None:
    key = f"tool.gpurig.variables.{name}"
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        reader.wrong(key, "not a good name; use letters, digits and `_`")
    if not isinstance(value, str) or re.search(r"['\x00-\x1f\x7f]", value):
        reader.wrong(key, f"found {value!r}; write text in quotes, without ' and without line breaks")


def _python(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(SpecifierSet(value))
    except InvalidSpecifier:
        return False


def _requirement(line: Any) -> str:
    try:
        found = Requirement(line)
    except (InvalidRequirement, TypeError) as error:
        return f"this is no requirement ({str(error).splitlines()[0]})"
    return (
        "a package at an address cannot be locked with hashes; name a version, or use tool.gpurig.source"
        if found.url
        else ""
    )


def _list(value: Any) -> bool:
    return isinstance(value, list)


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None
