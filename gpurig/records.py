"""The local copy of a stack's Host records, written by the life cycle for both engines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from gpurig import access
from gpurig.errors import ConfigError, RigError
from gpurig.host import Host
from gpurig.stack import Stack, held, locked, write_private


def load(stack: Stack) -> dict[str, Host]:
    """Every recorded host by name. Raises RigError that names a damaged file."""
    found = {}
    for path in sorted((stack.dir / "hosts").glob("*.json")):
        with suppress(FileNotFoundError):  # ended by another thread or process meanwhile
            found[path.stem] = _read(path)
    return found


def get(stack: Stack, name: str) -> Host | None:
    """The record of one host, or None."""
    path = _path(stack, name)
    return _read(path) if path.exists() else None


def holding(stack: Stack, name: str) -> Host | None:
    """The record of one host, which may be named by one of its machines, such as a PC's Linux; or None."""
    if found := get(stack, name):
        return found
    return next((host for host in load(stack).values() if name in [machine[0] for machine in host.machines()]), None)


def require(stack: Stack, name: str) -> Host:
    """The record of one host. Raises ConfigError that lists the hosts there are."""
    found = get(stack, name)
    if found is None:
        known = ", ".join(load(stack)) or "none; `rig up` stands them up"
        raise ConfigError(f"No host {name!r} in stack {stack.name}. Hosts: {known}.")
    return found


def save(stack: Stack, host: Host) -> None:
    """Record a host that is there and lets us in, and let SSH know of it."""
    write_private(_path(stack, host.name), json.dumps(host.to_dict(), indent=2) + "\n")
    _intent(stack, host.name).unlink(missing_ok=True)
    publish(stack)


def remove(stack: Stack, name: str) -> None:
    """Forget a host that has ended."""
    _path(stack, name).unlink(missing_ok=True)
    _intent(stack, name).unlink(missing_ok=True)
    publish(stack)


def hang_up(stack: Stack, name: str) -> None:
    """Close the shared connections to a host and to what is inside it, if there are any."""
    found = None
    with suppress(RigError):  # a damaged record must keep nothing from ending
        found = get(stack, name)
    for alias in [machine[0] for machine in reversed(found.machines())] if found else [name]:
        access.hang_up(stack, alias)


def set_aside(stack: Stack, name: str) -> None:
    """Put a record that cannot be read out of the way; it is kept, under another name."""
    _path(stack, name).replace(_path(stack, name).with_suffix(".damaged"))


def intend(stack: Stack, name: str, at: Iterable[str]) -> None:
    """Note, before anything of a host changes, that its record may not be true any more: until `save` or `remove`.

    at: the providers that may have a machine of it then.
    """
    write_private(_intent(stack, name), " ".join(at))


def intents(stack: Stack) -> dict[str, tuple[str, ...]]:
    """Hosts, with their providers, that an interrupted run may have left other than recorded, or with no record."""
    found = {}
    for path in sorted((stack.dir / "intents").glob("[!.]*")):
        with suppress(FileNotFoundError):
            found[path.name] = tuple(path.read_text(encoding="utf-8").split())
    return found


def publish(stack: Stack) -> None:
    """Write SSH's view of the recorded hosts."""
    with locked(stack.dir / "locks" / "ssh", wait=True, busy=""):
        access.publish(stack, load(stack).values())


def host_lock(stack: Stack, name: str, *, wait: bool = True) -> AbstractContextManager[None]:
    """Held while a host is made or ended, by whichever engine; a second one waits, or raises ConfigError."""
    return locked(_lock(stack, name), wait=wait, busy=f"{name}: another `rig` makes or ends it now")


def worked_on(stack: Stack, name: str) -> bool:
    """Whether an engine makes or ends this host now."""
    return held(_lock(stack, name))


def generation(stack: Stack, name: str) -> int:
    """The generation that a new machine of this host gets; 1 for the first."""
    path = stack.dir / "generations" / name
    return int(path.read_text(encoding="utf-8")) if path.exists() else 1


def set_generation(stack: Stack, name: str, number: int) -> None:
    """Note the generation of the next machine."""
    write_private(stack.dir / "generations" / name, str(number))


def supersede(stack: Stack, name: str, number: int) -> None:
    """Note that this generation has ended; the next machine gets a later one."""
    set_generation(stack, name, max(generation(stack, name), number + 1))


def _lock(stack: Stack, name: str) -> Path:
    return stack.dir / "locks" / f"host-{name}"


def _path(stack: Stack, name: str) -> Path:
    return stack.dir / "hosts" / f"{name}.json"


def _intent(stack: Stack, name: str) -> Path:
    return stack.dir / "intents" / name


def _read(path: Path) -> Host:
    try:
        return Host.from_dict(dict(json.loads(path.read_text(encoding="utf-8"))))
    except (ValueError, TypeError) as error:
        raise RigError(f"{path}: damaged ({error}); delete it and run `rig up`: the host is found again.") from error
