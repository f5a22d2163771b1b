"""`rig env`: the ML environments of the folder environments/, and making one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpurig.errors import ConfigError, RigError
from gpurig.ops import console
from gpurig.ops.command import command

if TYPE_CHECKING:
    from pathlib import Path

    from invoke.context import Context

ACTIONS = ("list", "new", "lock")


@command(
    "action",
    "name",
    help={
        "action": "list, new or lock.",
        "name": "The environment: a folder of environments/. Without one, lock locks all.",
        "from_": "For new: a folder with a pyproject.toml, a requirements.txt, a conda environment.yml, or URL@COMMIT.",
        "build": "For lock: a further build, such as cu126 for drivers 525 to 579, or cpu.",
        "upgrade": "For lock: newer versions of indirect dependencies too.",
    },
)
def env(
    c: Context, action: str = "list", name: str = "", from_: str = "", build: str = "", upgrade: bool = False
) -> None:
    """List the ML environments, begin one of your own, or write its lock. docs/add-an-environment.md has the recipe."""
    from gpurig.catalogue import ROOT

    given = {"--from": bool(from_), "--build": bool(build), "--upgrade": upgrade}
    allowed = {"list": (), "new": ("--from",), "lock": ("--build", "--upgrade")}.get(action)
    if allowed is None:
        raise ConfigError(f"rig env {action}: write one of {', '.join(ACTIONS)}.")
    for option, there in given.items():
        if there and option not in allowed:
            raise ConfigError(f"rig env {action}: takes no {option}.")
    folder = ROOT / "environments"
    if action == "list":
        _list(c, folder, name)
    elif action == "new":
        _new(c, folder, name, from_)
    else:
        _lock(c, folder, name, build, upgrade)


def _list(c: Context, folder: Path, name: str) -> None:
    from gpurig import catalogue, locking

    if name and name not in catalogue.environments():
        raise locking.unknown(folder / name)
    rows = [_row(folder / known) for known in catalogue.environments() if name in ("", known)]
    lines = [(row["name"], row["python"], row["disk"], ", ".join(row["builds"]) or "-") for row in rows]
    parts = [console.table([("ENVIRONMENT", "PYTHON", "DISK", "BUILDS"), *lines])]
    parts += ["\n".join(problem for row in rows for problem in row["problems"])]
    console.show(c, rows, "\n\n".join(part for part in parts if part))


def _row(folder: Path) -> dict[str, Any]:
    from gpurig import environments

    try:
        found = environments.read(folder)
        problems = environments.stale(folder)
    except RigError as error:
        return {"name": folder.name, "python": "-", "disk": "-", "builds": [], "problems": str(error).splitlines()}
    return {
        "name": found.name,
        "python": found.python,
        "disk": f"{found.disk_gb:g} GB",
        "builds": [lock.build or "any" for lock in found.locks],
        "problems": problems,
    }


def _new(c: Context, folder: Path, name: str, from_: str) -> None:
    from gpurig import new_environment

    if not name:
        raise ConfigError("rig env new: NAME is missing. Usage: rig env new NAME [--from …]")
    made = new_environment.make(folder, name, from_, report=console.say)
    console.show(c, {"folder": str(made), "files": sorted(path.name for path in made.iterdir())}, str(made))
    console.say(f"Look at {made / 'pyproject.toml'} and {made / 'smoke.py'}, then run `rig env lock {name}`.")


def _lock(c: Context, folder: Path, name: str, build: str, upgrade: bool) -> None:
    from gpurig import catalogue, environments, locking

    if build and not name:
        raise ConfigError("rig env lock --build: NAME is missing; say which environment.")
    written: list[str] = []
    for known in [name] if name else catalogue.environments():
        if not name and not (folder / known / environments.LOCK).exists():
            console.say(f"{known}: has no {environments.LOCK}; `rig env lock {known}` makes the first one.")
            continue
        done = locking.lock(folder / known, build=build, upgrade=upgrade, report=console.say)
        written += [str(path) for path in done]
    console.show(c, written, "\n".join(written))
