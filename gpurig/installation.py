"""What has to be done for a host's environments, and everything that stands against it. Pure: from their folders and facts of the host."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gpurig import environments, torch_build
from gpurig.environments import Environment, Lock
from gpurig.errors import ConfigError
from gpurig.torch_build import Machine

GB = 10**9


@dataclass(frozen=True, slots=True)
class Chosen:
    """An environment, and the build of it that a host gets."""

    environment: Environment
    lock: Lock

    def to_dict(self) -> dict[str, Any]:
        """For the role: the environment's fields, `lock`, and `marker`, which the host keeps once all of it is in place."""
        plain = self.environment.to_dict()
        lock = next(lock for lock in plain["locks"] if lock["digest"] == self.lock.digest)
        note = marker(self.environment, self.lock)
        checksum = hashlib.sha256(f"{note}\n".encode()).hexdigest()
        return {
            **plain,
            "lock": lock,
            "packages_digest": self.lock.digest,
            "marker": note,
            "marker_sha256": checksum,
        }


def marker(environment: Environment, lock: Lock) -> str:
    """What a host notes of an installation: the environment and its digest, and the lock and build that were taken."""
    return f"{environment.name} {environment.digest} {lock.file} {lock.build or '-'}"


def chosen(
    names: Sequence[str], folder: Path, machine: Machine, sources: Mapping[str, Mapping[str, Any]]
) -> tuple[list[Chosen], list[str]]:
    """The environments with these names and the build of each; and what is wrong with them, before the host is looked at.

    sources: name → url and commit that replace those of its pyproject.toml.
    """
    found, problems = list[Chosen](), list[str]()
    known = sorted(path.parent.name for path in folder.glob("*/pyproject.toml"))
    for name in sorted(set(sources) - set(known)):
        problems.append(f"environments_sources.{name}: there is no such environment{_meant(name, known)}.")
    for name in dict.fromkeys(names):
        if name not in known:
            problems.append(
                f"`environments` names {name}, which does not exist{_meant(name, known)}: there is no "
                f"{folder / name / 'pyproject.toml'}. Correct `environments` of this host, or make it: `rig env new {name}`."
            )
            continue
        try:
            environment = environments.read(folder / name, sources.get(name))
            problems += environments.stale(folder / name)
            found.append(Chosen(environment, torch_build.choose(name, environment.python, environment.locks, machine)))
        except ConfigError as error:
            problems += str(error).splitlines()
        except torch_build.RefusedError as error:
            problems.append(f"Environment {name}: {error}")
    return found, problems


def objections(wanted: Sequence[Mapping[str, Any]], seen: Mapping[str, Any], pixi_sha256: str = "") -> Iterator[str]:
    """What on a host stands against installing these environments (as of Chosen.to_dict), all at once.

    seen: what roles/environments/files/look.py found: `free` bytes in `folder`, `pythons` (specifier → found, download,
    error), `complete` (digests of virtual environments that are there already).
    """
    new = [one for one in wanted if one["packages_digest"] not in seen["complete"]]
    needed = sum(float(one["disk_gb"]) for one in new)
    if seen["free"] < needed * GB:
        of = ", ".join(f"{one['name']} {one['disk_gb']:g}" for one in new)
        yield (
            f"{seen['folder']}: {needed:g} GB must be free there ({of}: tool.gpurig.disk_gb in their pyproject.toml), found "
            f"{seen['free'] / GB:.1f} GB. Remove data there, name fewer environments, or give the host a larger disk."
        )
    for one in new:
        python = seen["pythons"].get(one["python"], {})
        if one["how"] == "conda":
            if not pixi_sha256:
                yield (
                    f"Environment {one['name']}: environment.yml needs pixi on the host: set environments_pixi_version and "
                    "environments_pixi_sha256, the checksum that pixi's release page shows for its Linux x86-64 program."
                )
        elif python and not python["found"] and python["error"]:
            yield (
                f"Environment {one['name']}: project.requires-python in its pyproject.toml says {one['python']}; the host has "
                f"no such Python, and none can be had: {python['error']}. Install one there, or let it reach that address."
            )


def variables(environment: Mapping[str, Any], home: str) -> dict[str, str]:
    """An environment's variables on a host where its user's home is there: `~/` at the start of a value stands for it."""
    return {
        name: f"{home}{value[1:]}" if value == "~" or value.startswith("~/") else value
        for name, value in environment["variables"].items()
    }


def variables_file(environment: Mapping[str, Any], home: str) -> str:
    """These variables as shells and systemd read them. Values hold no quotation mark; see gpurig.environment_keys."""
    lines = (f"{name}='{value}'\n" for name, value in variables(environment, home).items())
    return "".join(["# Managed by gpurig, role environments. For whatever runs from this environment.\n", *lines])


def _meant(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
