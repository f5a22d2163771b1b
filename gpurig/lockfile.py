"""What a hashed lock (`requirements.lock`) says: what it was made from, for which CUDA, and what it wants on a given host."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, canonicalize_version

MADE_FROM = "# pyproject: sha256:"
"""Begins the line in which a lock notes the digest of what it was made from."""

_CUDA = re.compile(
    r"^(?:cuda-toolkit(?:\[[^]]*\])?|nvidia-cuda-runtime(?:-cu\d+)?)==(\d+)\.(\d+)|^torch==[^ ]*\+cu(\d+)(\d)",
    re.MULTILINE,
)
"""CUDA's version as locked packages tell it: `cuda-toolkit==13.0.2`, `nvidia-cuda-runtime-cu12==12.8.90`, `torch==2.9.1+cu128`."""

_ENTRY = re.compile(r"[A-Za-z0-9][\w.-]*(\[[^]]*\])?==\S+( ; .+?)? +--hash=\w+:\w+")
"""A version of a package with the hash of its first file."""

_TORCH = re.compile(r"^torch==([^\s+]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Difference:
    """How what is installed differs from a lock; each entry is a package with its version."""

    missing: tuple[str, ...]
    extra: tuple[str, ...]
    other: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.extra or self.other)

    def __str__(self) -> str:
        parts = {"missing": self.missing, "not in the lock": self.extra, "another version": self.other}
        return "; ".join(f"{word}: {', '.join(names)}" for word, names in parts.items() if names) or "none"


def pins(lock: str, markers: Mapping[str, str]) -> dict[str, str]:
    """Name → version of the packages that the lock wants where these environment markers (PEP 508) hold."""
    found: dict[str, str] = {}
    for line in re.findall(r"^[A-Za-z0-9][^\n]*==[^\n]*", lock, re.MULTILINE):
        requirement = Requirement(line.split("--hash")[0].rstrip(" \\"))
        if requirement.marker is None or requirement.marker.evaluate({**markers, "extra": ""}):
            found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


def entries(lock: str) -> list[str]:
    """The lock's entries, each with its hashes in one line."""
    lines = re.sub(r"\s*\\\n\s*", " ", lock).splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def without_hash(lock: str) -> list[str]:
    """The entries that are no version of a package with a hash, such as a folder's path: no host can install them."""
    return [entry for entry in entries(lock) if not _ENTRY.match(entry)]


def compare(wanted: Mapping[str, str], installed: Mapping[str, str]) -> Difference:
    """Compare pins with what is installed; names and versions may be spelled in any way (0.1-2 is 0.1.post2)."""
    there: dict[str, str] = {canonicalize_name(name): version for name, version in installed.items()}
    return Difference(
        missing=tuple(f"{name} {version}" for name, version in wanted.items() if name not in there),
        extra=tuple(f"{name} {version}" for name, version in sorted(there.items()) if name not in wanted),
        other=tuple(
            f"{name} {there[name]} instead of {version}"
            for name, version in wanted.items()
            if canonicalize_version(there.get(name, version)) != canonicalize_version(version)
        ),
    )


def cuda_of(lock: str) -> tuple[int, int] | None:
    """The newest CUDA that a lock's packages are built for, such as (13, 0); None where they use none."""
    return max(
        (
            (int(major or local_major), int(minor or local_minor))
            for major, minor, local_major, local_minor in _CUDA.findall(lock)
        ),
        default=None,
    )


def torch_of(lock: str) -> str:
    """PyTorch's version in a lock, without its local part; empty where there is none."""
    found = _TORCH.search(lock)
    return found[1] if found else ""


def build_of(lock: str) -> str:
    """What a lock's packages are built for, `cu130` or `cpu`; empty where it has neither PyTorch nor CUDA."""
    if cuda := cuda_of(lock):
        return "cu{}{}".format(*cuda)
    return "cpu" if torch_of(lock) else ""


def has(lock: str, package: str) -> bool:
    """Whether a lock names this package, on any platform. Understands pixi's locks as well."""
    name = re.escape(package)
    return re.search(rf"^{name}==|/{name}-\d[^/\n]*$", lock, re.MULTILINE) is not None


def project_digest(project: Mapping[str, Any]) -> str:
    """Digest of all in a parsed pyproject.toml that a lock is made from: dependencies, requires-python, tool.uv."""
    own = project.get("project", {})
    parts = [own.get("dependencies", []), own.get("requires-python"), project.get("tool", {}).get("uv", {})]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def made_from(lock: str) -> str:
    """The digest of what a lock was made from; empty where it does not say."""
    found = re.search(rf"^{re.escape(MADE_FROM)}(\w+)$", lock, re.MULTILINE)
    return found[1] if found else ""


def bare(lock: str) -> str:
    """A lock without the note of what it was made from, which means nothing for what is installed."""
    return re.sub(rf"^{re.escape(MADE_FROM)}.*\n", "", lock, flags=re.MULTILINE)
