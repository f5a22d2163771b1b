"""Every role looks the same, and says what it can be told."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpurig import catalogue
from gpurig.windows import topics

ROLES = sorted(path for path in (catalogue.ROOT / "roles").iterdir() if path.is_dir())
LINES = {"tasks/*.yml": 80, "defaults/main.yml": 60, "templates/*": 150, "README.md": 15}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def topic(role: Path) -> str | None:
    """What a Windows role configures: gpurig.windows decides there, by the role's defaults. None for other roles."""
    return role.name.removeprefix("win_") if role.name.startswith("win_") else None


@pytest.fixture(params=ROLES, ids=lambda path: path.name)
def role(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_a_role_has_the_same_files_as_the_others(role: Path) -> None:
    names = [
        "README.md",
        "defaults/main.yml",
        "meta/argument_specs.yml",
        "meta/main.yml",
        "tasks/main.yml",
        *(["vars/main.yml"] if topic(role) is None else []),
    ]
    assert [name for name in names if not (role / name).is_file()] == []


def test_every_default_is_described_with_its_value(role: Path) -> None:
    options = load(role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert {name: option.get("default") for name, option in options.items()} == load(role / "defaults/main.yml")
    assert [name for name, option in options.items() if not option.get("description")] == []


def test_variables_carry_the_role_s_name(role: Path) -> None:
    assert [name for name in load(role / "defaults/main.yml") if not name.startswith(f"{role.name}_")] == []
    constants = load(role / "vars/main.yml") if (role / "vars/main.yml").is_file() else {}
    assert [name for name in constants if not name.startswith(f"_{role.name}_")] == []


def test_files_stay_small(role: Path) -> None:
    sizes = {
        path: (len(path.read_text(encoding="utf-8").splitlines()), limit)
        for pattern, limit in LINES.items()
        for path in role.glob(pattern)
    }
    assert {path.name: size for path, (size, limit) in sizes.items() if size > limit} == {}


def test_every_default_is_used(role: Path) -> None:
    text = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("tasks", "vars", "templates")
        for path in (role / folder).glob("*")
    )
    name = topic(role)
    wanted = topics.wanted(name, {}) if name else None
    fields = [f"{role.name}_{field.name}" for field in dataclasses.fields(wanted)] if wanted else []
    assert [one for one in load(role / "defaults/main.yml") if one not in text and one not in fields] == []


def test_site_runs_every_role_under_its_own_tag() -> None:
    plays = load(catalogue.ROOT / "playbooks/site.yml")
    listed = [entry for play in plays for entry in play.get("roles", [])]
    assert {entry["role"] for entry in listed} == {path.name for path in ROLES}
    assert [
        entry
        for entry in listed
        if set(entry["tags"] if isinstance(entry["tags"], list) else [entry["tags"]]) - {"always"} != {entry["role"]}
    ] == []
