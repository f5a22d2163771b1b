"""A simulated Windows PC: what it holds as plain JSON data, and what it refuses.

It is no Windows. It knows what gpurig's scripts touch, in the forms that Windows has it, and is strict where Windows is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

ACCESS_DENIED = "0x80070005"


class PowerShellError(Exception):
    """A terminating error, as PowerShell reports it."""

    def __init__(self, message: str, *, code: str = "RuntimeException", hresult: str = "0x80131501") -> None:
        super().__init__(message)
        self.problem = {"message": message, "id": code, "hresult": hresult}


class PowerLostError(Exception):
    """The PC lost power, or was restarted: whoever talks to it sees the connection end."""


class Linux(Protocol):
    """What stands for the Linux inside WSL: a container, or a model of one."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def create(self) -> None: ...
    def destroy(self) -> None: ...
    def run(self, script: str, arguments: list[str], stdin: bytes) -> tuple[int, bytes, bytes]: ...


@dataclass(slots=True)
class Machine:
    """data: see fresh.py. linux: by distribution's name. power_lost_at: the step at which the current goes off."""

    data: dict[str, Any]
    linux: Mapping[str, Linux] = field(default_factory=dict)
    steps: int = 0
    power_lost_at: int | None = None

    def step(self) -> None:
        """A moment at which the power may go off: before, within and after every action."""
        self.steps += 1
        if self.power_lost_at is not None and self.steps >= self.power_lost_at:
            self.power_lost_at = None
            self.lose_power()
            raise PowerLostError

    def lose_power(self) -> None:
        """What is in memory is gone; what was written stays. The PC starts again by itself."""
        from tests.windows.model import boot

        boot.boot(self)

    def snapshot(self) -> dict[str, Any]:
        """The PC as it is now, to compare."""
        return copy.deepcopy(self.data)

    def move_address(self, address: str = "172.28.99.7") -> None:
        """WSL has another address from now on, as after a conflict with a VPN."""
        from tests.windows.model import network

        network.move(self, address)

    def require_admin(self) -> None:
        """Raises what Windows says to somebody without elevated rights."""
        if not self.data["login"]["elevated"]:
            text = self.words("access_denied")
            raise PowerShellError(text, code="UnauthorizedAccess", hresult=ACCESS_DENIED)

    def words(self, name: str) -> str:
        """A text of Windows in its display language."""
        from tests.windows.model import texts

        return texts.of(self.data["language"], name)

    @property
    def user(self) -> dict[str, Any]:
        """The user that is logged in for us."""
        found: dict[str, Any] = self.data["users"][self.data["login"]["user"]]
        return found

    def registry(self, path: str) -> dict[str, Any]:
        """The values of a key, made where it is missing. HKCU: is our user's."""
        root, _, rest = path.partition(":\\")
        tree = self.user["registry"] if root == "HKCU" else self.data["registry"]
        found: dict[str, Any] = tree.setdefault(rest, {})
        return found

    def value(self, path: str, name: str, default: Any = None) -> Any:
        """One value of the registry; makes nothing."""
        root, _, rest = path.partition(":\\")
        tree = self.user["registry"] if root == "HKCU" else self.data["registry"]
        return tree.get(rest, {}).get(name, default)
