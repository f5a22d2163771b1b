"""Runs as they are noted on this machine: what was started where, how it ended, and whether its results are here.

One folder each, <stack>/runs/<host>/<run>/: run.json, and beside it what was brought back. A run on the host lies in
~/gpurig/runs/<run>/ with the same run.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from gpurig.errors import RigError
from gpurig.gate import runs_dir
from gpurig.stack import Stack, write_private

State = Literal["running", "done", "failed", "cancelled", "lost"]
Results = Literal["verified", "discarded"]

SCHEMA = 1
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run.

    id: date, time (UTC) and a name, so that names sort by time.
    label: the host's label, since a host that was made anew has none of its predecessor's runs.
    project: folder on this machine that was synced. directory: where in it the run starts.
    environment: name of the ML environment, or `system` for the host's own Python.
    command: script and arguments. commit, branch, untracked: see gpurig.revision; the diff is in git.diff.
    config: the host's configuration.
    state: as last seen. results: whether they are here (`verified`) or were given up (`discarded`).
    """

    id: str
    host: str
    label: str
    stack: str
    project: str
    directory: str
    environment: str
    command: tuple[str, ...]
    commit: str | None = None
    branch: str | None = None
    untracked: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    created: str
    state: State = "running"
    exit_code: int | None = None
    ended: str | None = None
    results: Results | None = None
    schema: int = SCHEMA

    @classmethod
    def from_json(cls, text: str) -> Run:
        """Read run.json. Raises RigError for one that another version wrote or that is damaged."""
        try:
            data = json.loads(text)
            if data["schema"] != SCHEMA:
                raise RigError(f"run.json: schema {data['schema']!r} is not {SCHEMA}; use the gpurig that wrote it.")
            known = {item.name for item in fields(cls)}
            data |= {"command": tuple(data["command"]), "untracked": tuple(data["untracked"])}
            return cls(**{key: value for key, value in data.items() if key in known})
        except (KeyError, TypeError, ValueError) as error:
            raise RigError(f"run.json is damaged ({error}).") from error

    def to_json(self) -> str:
        """The form in which it is kept."""
        return json.dumps(asdict(self), indent=2) + "\n"

    def seen(self, state: State, exit_code: int | None, ended: str | None) -> Run:
        """The same run, as the host tells of it now."""
        return replace(self, state=state, exit_code=exit_code, ended=ended)

    def summary(self) -> str:
        """The state in a word or two."""
        return f"failed ({self.exit_code})" if self.state == "failed" else self.state


def new_id(stack: Stack, host: str, name: str) -> str:
    """A name for a new run, such as `20261122-093015-train`, that this host does not have yet."""
    base = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{slug(name)}"
    number, chosen = 1, base
    while folder(stack, host, chosen).exists():
        number += 1
        chosen = f"{base}-{number}"
    return chosen


def slug(text: str) -> str:
    """A text as part of a run's name: lower-case letters, digits and `-`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].rstrip("-") or "run"


def folder(stack: Stack, host: str, run: str) -> Path:
    """Where a run is noted here, and where its results are brought."""
    return runs_dir(stack, host) / run


def save(stack: Stack, run: Run) -> None:
    """Note a run."""
    write_private(folder(stack, run.host, run.id) / "run.json", run.to_json())


def get(stack: Stack, host: str, run: str) -> Run | None:
    """One run as noted here, or None."""
    file = folder(stack, host, run) / "run.json"
    if not file.exists():
        return None
    try:
        return Run.from_json(file.read_text(encoding="utf-8"))
    except RigError as error:
        raise RigError(f"{file}: {error}") from error


def of_host(stack: Stack, host: str) -> list[Run]:
    """The runs of a host that are noted here, oldest first."""
    found = [get(stack, host, path.parent.name) for path in sorted(runs_dir(stack, host).glob("*/run.json"))]
    return [run for run in found if run]


def of_stack(stack: Stack) -> list[Run]:
    """Every run that is noted here, oldest first, also of hosts that are gone."""
    hosts = sorted(path.name for path in (stack.dir / "runs").glob("*"))
    return sorted((run for host in hosts for run in of_host(stack, host)), key=lambda run: run.id)
