"""Which project and stack a command is about, and where its local files are."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurig.errors import ConfigError

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Stack:
    """One stack of one project. `root` holds Pulumi.yaml; `home` is GPURIG_HOME."""

    project: str
    name: str
    root: Path
    home: Path

    @property
    def file(self) -> Path:
        """The stack's configuration, Pulumi.<stack>.yaml."""
        return self.root / f"Pulumi.{self.name}.yaml"

    @property
    def dir(self) -> Path:
        """Everything local that is this stack's: records, keys, secrets, runs, reports."""
        return self.home / self.project / self.name


def home() -> Path:
    """GPURIG_HOME, else the platform's user data directory; made on first use, readable by the user only."""
    given = os.environ.get("GPURIG_HOME")
    if given:
        path = Path(given).expanduser().absolute()
    else:
        from platformdirs import user_data_path

        path = user_data_path("gpurig")
    return private_dir(path)


def private_dir(path: Path) -> Path:
    """Make a folder, and its parents, for this user alone."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def project_root(start: Path | None = None) -> Path:
    """The nearest folder upward that holds Pulumi.yaml. Raises ConfigError where there is none."""
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    raise ConfigError(f"No Pulumi.yaml in {here} or above it: run this inside a gpurig project.")


def project_name(root: Path) -> str:
    """The project's name, from Pulumi.yaml."""
    file = root / "Pulumi.yaml"
    match = re.search(r"^name:\s*[\"']?([\w.-]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    if not match:
        raise ConfigError(f"{file}: key `name`: missing; write the project's name, for example `name: gpurig`.")
    return match.group(1)


def open_stack(name: str | None = None, *, start: Path | None = None) -> Stack:
    """The stack a command is about: `name`, else GPURIG_STACK, else Pulumi's selected one, else the last one used."""
    root = project_root(start)
    project = project_name(root)
    base = home()
    chosen = name or os.environ.get("GPURIG_STACK") or _pulumi_selection(root, project) or _last_used(base, root)
    if not chosen:
        stacks = ", ".join(sorted(_stacks(root))) or "none found"
        raise ConfigError(f"Which stack? Give --stack or set GPURIG_STACK. Stacks in {root}: {stacks}.")
    short = chosen.rsplit("/", 1)[-1]  # Pulumi also knows organisation/project/stack
    if not NAME.fullmatch(short):
        raise ConfigError(f"Stack name {chosen!r}: use letters, digits, `-` and `_`.")
    return Stack(project=project, name=short, root=root, home=base)


def remember(stack: Stack) -> None:
    """Let later commands in this project use this stack where neither the user nor Pulumi names one."""
    path = private_dir(stack.home / "selected") / _root_key(stack.root)
    write_private(path, stack.name)


def write_private(path: Path, text: str) -> None:
    """Write a file for this user alone, whole or not at all: a reader never sees half of it."""
    private_dir(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, *, wait: bool, busy: str) -> Iterator[None]:
    """Hold an exclusive lock on `path`, which the system releases however the process ends.

    Where somebody else holds it: wait, or raise ConfigError(`busy`).
    """
    import fcntl

    private_dir(path.parent)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            file.seek(0)
            raise ConfigError(f"{busy} (process {file.read().strip() or 'unknown'}).") from None
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield


def held(path: Path) -> bool:
    """Whether somebody holds the lock on `path` now; makes nothing."""
    import fcntl

    try:
        with path.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _stacks(root: Path) -> Iterator[str]:
    for file in root.glob("Pulumi.*.yaml"):
        yield file.name.removeprefix("Pulumi.").removesuffix(".yaml")


def _pulumi_selection(root: Path, project: str) -> str | None:
    """What `pulumi stack select` wrote; read from its files, since asking the program takes far longer."""
    digest = hashlib.sha1(str(root / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    base = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    workspace = _json(base / "workspaces" / f"{project}-{digest}-workspace.json")
    by_backend = workspace.get("stacks") or {}
    backend = os.environ.get("PULUMI_BACKEND_URL") or _json(base / "credentials.json").get("current")
    only = next(iter(by_backend.values())) if len(by_backend) == 1 else None
    chosen = (
        by_backend.get(backend) or only or workspace.get("stack")
    )  # Pulumi of earlier versions knew one backend only
    return chosen if isinstance(chosen, str) else None


def _json(path: Path) -> dict[str, Any]:
    """A JSON object's file; empty where there is none."""
    with suppress(OSError, ValueError):
        data = json.loads(path.read_text(encoding="utf-8"))
        return data if isinstance(data, dict) else {}
    return {}


def _last_used(base: Path, root: Path) -> str | None:
    with suppress(OSError):
        return (base / "selected" / _root_key(root)).read_text(encoding="utf-8").strip()
    return None


def _root_key(root: Path) -> str:
    return hashlib.sha256(str(root).encode()).hexdigest()[:16]
