"""A simulated provider that exists in memory only, for tests of the life cycle and the engine."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from gpurig.host import Capabilities, Endpoint
from gpurig.providers import Machine, Order, Owner
from gpurig.spec import HostSpec
from gpurig.stack import Stack

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOmRsB2qsKkN2IdJjFFmfOfOXtf4qazKV8NdEXHNvqVv"


class MemorySpec(HostSpec):
    """Configuration of a host of the in-memory provider (simulated)."""

    fixed: ClassVar[frozenset[str]] = frozenset({"provider", "kind"})

    provider: Literal["memory"] = "memory"
    kind: str = "small"
    size: int = 1


@dataclass
class Cloud:
    """A simulated provider that is honest: what it lists is what it has.

    `dies` names a call after which the caller is gone, as by SIGKILL: it raises Killed once.
    `keeps` is how many times an ended machine is still listed.
    """

    listed: list[Machine] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    dies: str = ""
    keeps: int = 0

    destroys = True
    rents = False

    def machines(self, stack: Stack, owner: Owner) -> list[Machine]:
        return [machine for machine in self.listed if machine.owner == owner]

    def create(self, order: Order) -> str:
        self._die("before create")
        self.made.append(order.label)
        machine = Machine(
            f"id-{len(self.made)}",
            order.owner,
            order.generation,
            order.spec.fingerprint(),
            running=False,
            provider=order.spec.provider,
        )
        self.listed.append(machine)
        self._die("after create")
        return machine.id

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        self._die("before prepare")
        self.listed[self.listed.index(machine)] = replace(machine, running=True)
        self._die("after prepare")
        return Endpoint(address="127.0.0.1", port=1, user="root", host_key=HOST_KEY)

    def end(self, stack: Stack, machine: Machine) -> None:
        self._die("before end")
        if self.keeps:
            self.keeps -= 1
            return
        self.listed = [found for found in self.listed if found.id != machine.id]
        self._die("after end")

    def capabilities(self, spec: Any) -> Capabilities:
        return Capabilities(init="none", kernel="shared", privilege="root", can_stop=False)

    def _die(self, where: str) -> None:
        if where == self.dies:
            self.dies = ""
            raise Killed


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the life cycle may catch it."""
