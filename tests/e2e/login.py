"""A way into a machine that is no record yet."""

from __future__ import annotations

import subprocess

from gpurig import keys, reach
from gpurig.host import Capabilities, Endpoint, Host
from gpurig.providers import Order
from gpurig.stack import Stack
from tests.clients.containers import ADDRESS


class Login:
    """A way in, as the life cycle has it: over the pinned key alone."""

    def __init__(self, stack: Stack, order: Order, port: int, user: str = "root") -> None:
        endpoint = Endpoint(address=ADDRESS, port=port, user=user, host_key=keys.public_half(order.host_key))
        self.stack = stack
        self.host = Host(
            name="a", project=stack.project, stack=stack.name, provider="vastai", id="1", label=order.label, generation=1,
            endpoint=endpoint, capabilities=Capabilities(
                init="none", kernel="shared", privilege="root" if user == "root" else "sudo", can_stop=True
            ),
        )  # fmt: skip

    def wait(self, seconds: float = 30) -> None:
        reach.wait(self.stack, self.host, seconds=seconds, report=print, settling=True)

    def run(self, command: str) -> str:
        settings = self.stack.dir / "probe" / "a" / "ssh_config"
        alone = ["-oBatchMode=yes", "-oControlPath=none"]
        done = subprocess.run(["ssh", "-F", settings, *alone, "a", command], capture_output=True, text=True, check=True)
        return done.stdout
