"""What a hashed lock (`requirements.lock`) wants to be installed on a given host."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


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


def compare(wanted: Mapping[str, str], installed: Mapping[str, str]) -> Difference:
    """Compare pins with what is installed; names may be spelled in any way."""
    there: dict[str, str] = {canonicalize_name(name): version for name, version in installed.items()}
    return Difference(
        missing=tuple(f"{name} {version}" for name, version in wanted.items() if name not in there),
        extra=tuple(f"{name} {version}" for name, version in sorted(there.items()) if name not in wanted),
        other=tuple(
            f"{name} {there[name]} instead of {version}"
            for name, version in wanted.items()
            if there.get(name, version) != version
        ),
    )
