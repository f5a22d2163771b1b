"""What the repository offers by name: environments, services, role variables. Read from their folders."""

from __future__ import annotations

import functools
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The repository: roles, environments and templates lie beside the package."""


@functools.cache
def environments() -> tuple[str, ...]:
    """Names of ML environments: folders of environments/ with a pyproject.toml."""
    return tuple(sorted(path.parent.name for path in (ROOT / "environments").glob("*/pyproject.toml")))


@functools.cache
def services() -> tuple[str, ...]:
    """Names of services: files of roles/services/vars/ but `main.yml`."""
    return tuple(sorted(path.stem for path in (ROOT / "roles/services/vars").glob("*.yml") if path.stem != "main"))


@functools.cache
def role_variables() -> dict[str, frozenset[str]]:
    """Role → the variables that a user may set, from its defaults."""
    found = {}
    for path in sorted((ROOT / "roles").glob("*/defaults/main.yml")):
        names = re.findall(r"^(\w+):", path.read_text(encoding="utf-8"), re.MULTILINE)
        found[path.parents[1].name] = frozenset(names)
    return found
