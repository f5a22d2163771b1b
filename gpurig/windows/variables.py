"""The variables of a Windows PC that hang on this laptop, and so are in no record: where keys lie, and which."""

from __future__ import annotations

from typing import Any

from gpurig import keys
from gpurig.host import Host
from gpurig.stack import Stack


def of_host(stack: Stack, host: Host) -> dict[str, Any]:
    """All of a host's variables: those of its record, and the keys that its Linux side gets.

    win_linux_host_key: path of the private host key here; win_linux_public_key: the login key to let in, one line.
    """
    login = keys.login_key(stack.home).with_suffix(".pub").read_text(encoding="utf-8").strip()
    own = {
        "win_linux_host_key": str(keys.host_key(stack, host.name, host.generation)),
        "win_linux_public_key": login,
    }
    return {**own, **host.variables}
