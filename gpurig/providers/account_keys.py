"""Our login key in an account that keeps SSH keys: registered once, used by all machines; no other key is touched."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from typing import Any

from gpurig.errors import ConfigError, RigError
from gpurig.providers import DoubtError, RefusedError
from gpurig.providers.api import VendorRefusedError

_ONE_AT_A_TIME = threading.Lock()


def registered(
    public_key: str, listed: Callable[[], Iterable[dict[str, Any]]], add: Callable[[str, str], object]
) -> dict[str, Any]:
    """The account's entry for our login key, made where there is none. Called before anything is rented.

    listed: gives the account's entries, each with a `public_key`. add: takes a name and the key, and makes an entry.
    Raises RefusedError, since nothing was rented, where there is no entry and none could be made.
    """

    def found() -> dict[str, Any] | None:
        return next((entry for entry in listed() if _material(entry["public_key"]) == _material(public_key)), None)

    name = f"gpurig-{hashlib.sha256(_material(public_key).encode()).hexdigest()[:16]}"
    with _ONE_AT_A_TIME:
        try:
            entry = found()
            if entry is None:
                entry = _added(name, public_key, add, found)
        except ConfigError:
            raise
        except RigError as error:
            raise RefusedError(
                f"{error} So the login key could not be registered, and nothing was rented.", another=False
            ) from error
    return entry


def _added(
    name: str, public_key: str, add: Callable[[str, str], object], found: Callable[[], dict[str, Any] | None]
) -> dict[str, Any]:
    """The entry after it was added, by us or by another process that was quicker."""
    problem: RigError | None = None
    try:
        add(name, public_key)
    except (VendorRefusedError, DoubtError) as error:
        problem = error
    entry = found()
    if entry is None:
        raise problem or RigError(f"The key {name} was added, and is not listed.")
    return entry


def _material(public_key: str) -> str:
    """A public key without its comment, which may be changed."""
    return " ".join(public_key.split()[:2])
