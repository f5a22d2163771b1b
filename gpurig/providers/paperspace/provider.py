"""Paperspace: from a wish to a machine type and region, from an offer to a machine and its endpoint.

The vendor puts no SSH key into a machine, so ours comes by a start-up script that carries the machine's mark as its name. A machine
must be off before it can be deleted, so ending one is: stop, wait, delete, then remove its script.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal
from typing import Any

from gpurig import boot, clock, keys
from gpurig.errors import RigError
from gpurig.host import Capabilities, Endpoint
from gpurig.offers import Offer, Wish
from gpurig.providers import BrokenError, DoubtError, Machine, NotReadyError, Order, Owner, RefusedError, read_mark
from gpurig.providers.api import VendorRefusedError
from gpurig.providers.paperspace import types
from gpurig.providers.paperspace.client import GONE, Client
from gpurig.providers.paperspace.spec import Spec
from gpurig.providers.rents import Rents
from gpurig.stack import Stack

GB = 1_000_000_000

USER = "paperspace"
"""Who logs in to the vendor's templates."""

RUNNING = ("ready", "serviceready")
"""States of a machine that runs; in the second the vendor's own agent does not answer yet."""

SCRIPT_TRIES = 3

OFF_SECONDS = 180.0
"""How long a machine may take until it is off."""

LOOK_SECONDS = 3.0


class Provider(Rents):
    """Virtual machines at Paperspace."""

    def __init__(self) -> None:
        self._client = Client()

    async def offers(self, wish: Wish) -> list[Offer]:
        """What is free now of the types that meet the wish; the vendor is asked for each type and region by itself."""
        templates = await self._client.templates()
        asked = [
            (name, row, template, region)
            for name, row in types.fitting(wish).items()
            for template in [types.template(templates, name)]
            if template
            for region in row["regions"]
        ]
        free = await asyncio.gather(*(self._client.available(name, region) for name, _, _, region in asked))
        return [types.offer(*what, wish) for what, is_free in zip(asked, free, strict=True) if is_free]

    def everything(self) -> list[Machine]:
        found = []
        for line in self._client.machines():
            ours = read_mark(line.get("name"))
            if ours and not line.get("dtDeleted"):
                found.append(_machine(line, *ours))
        return found

    def create(self, order: Order) -> str:
        assert order.offer  # noqa: S101 (the life cycle gives one)
        spec: Spec = order.spec
        terms = order.offer.data
        script = self._script(order)
        body = {
            "name": order.mark,
            "machineType": terms["type"],
            "region": terms["region"],
            "templateId": spec.image or terms["template"],
            "diskSize": terms["disk"],
            "publicIpType": "dynamic",
            "startupScriptId": script,
            "startOnCreate": True,
            "enableNvlink": terms["nvlink"],
            "emailPassword": False,
            "autoShutdownEnabled": False,
            "autoSnapshotEnabled": False,  # snapshots are billed, and outlive the machine
            "takeInitialSnapshot": False,
        }
        try:
            made = self._client.create(body)
        except RefusedError as error:
            with suppress(RigError):  # the next call for this host removes it
                self._client.delete_script(script)
            status = error.status if isinstance(error, VendorRefusedError) else 0
            raise RefusedError(str(error), another=status not in (402, 403)) from error
        rate = Decimal(str(made.get("usageRate") or 0))
        price = rate + order.offer.price - Decimal(terms["compute"])
        if rate > Decimal(terms["compute"]) and price > spec.max_price:
            raise RefusedError(
                f"paperspace: {terms['type']} costs ${price:.4f} an hour, more than gpurig's table says and than ${spec.max_price}.",
                made=str(made["id"]),
            )
        return str(made["id"])

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        line = machine.data
        state = line["state"]
        if state == "failed":
            raise BrokenError("the vendor says that it failed")
        if state == "off":
            self._client.start(machine.id)
            raise NotReadyError("starting")
        if state not in RUNNING or not line.get("publicIp"):
            raise NotReadyError(f"{state}, without an address" if state in RUNNING else state)
        return Endpoint(address=line["publicIp"], port=22, user=USER, host_key=keys.public_half(order.host_key))

    def end(self, stack: Stack, machine: Machine) -> None:
        """Stop it, wait until it is off, delete it, and remove its script. Raises DoubtError where it does not get off in time."""
        deadline = clock.monotonic() + OFF_SECONDS
        while True:
            begun = clock.monotonic()
            line = self._client.machine(machine.id)
            if line is None or line.get("dtDeleted") or self._deleted(machine.id, line["state"]):
                break
            if begun > deadline:
                raise DoubtError(
                    f"paperspace: {machine.id} is {line['state']}; it must be off before it can be deleted."
                )
            clock.sleep(LOOK_SECONDS)
        for script in list(self._client.scripts()):
            ours = read_mark(script["name"])
            if ours and ours[:2] == (machine.owner, machine.generation):
                self._remove_script(script["id"])

    def stop(self, machine: Machine) -> None:
        self._client.stop(machine.id)

    def start(self, machine: Machine) -> None:
        self._client.start(machine.id)

    def why_gone(self, machine: str) -> str:
        with suppress(RigError):
            for event in self._client.events(machine):
                if event["name"] == "deactivate":
                    said = f": {event['error']}" if event.get("error") else ""
                    return f"it was deleted at {event['dtCreated']}, by somebody of the team or by the vendor{said}"
        return "the vendor no longer lists it; an account that does not pay loses its machines"

    def capabilities(self, spec: Spec) -> Capabilities:
        return Capabilities(
            init="systemd",
            gpu_driver="provided",
            kernel="own",
            privilege="sudo",
            can_stop=True,
            billed_stopped="disk",
            self_end="no",  # a shutdown from inside leaves the disk, which is billed
        )

    def _script(self, order: Order) -> str:
        """The id of the start-up script that lets us in; older ones of this host that no machine uses are removed.

        Scripts cost nothing, so unlike a machine one is made again after a doubt: whatever has the mark is found by it.
        """
        problem = ""
        for _ in range(SCRIPT_TRIES):
            try:
                found = self._swept(order)
                return found or self._client.add_script(order.mark, boot.script(order, user=USER))
            except DoubtError as error:
                problem = str(error)
            except RefusedError as error:
                raise RefusedError(str(error), another=False) from error
        raise RefusedError(f"paperspace: its start-up script could not be put there. {problem}", another=False)

    def _swept(self, order: Order) -> str:
        """The script that an interrupted call for this very machine left, if any."""
        kept = ""
        for script in list(self._client.scripts()):
            ours = read_mark(script["name"])
            if script["name"] == order.mark:
                kept = script["id"]
            elif ours and ours[0] == order.owner and not script["assignedMachineIds"]:
                self._remove_script(script["id"])
        return kept

    def _remove_script(self, script: str) -> None:
        try:
            self._client.delete_script(script)
        except VendorRefusedError as error:
            if error.status != GONE:
                raise

    def _deleted(self, machine: str, state: str) -> bool:
        """Take the next step; returns whether it was the last."""
        if state == "stopping":
            return False
        if state not in ("off", "failed"):
            try:
                self._client.stop(machine)
            except VendorRefusedError:  # not in this state; perhaps it can be deleted as it is
                pass
            else:
                return False
        try:
            self._client.delete(machine)
        except VendorRefusedError as error:
            if error.status != GONE:
                raise
        return True


def _machine(line: dict[str, Any], owner: Owner, generation: int, fingerprint: str) -> Machine:
    compute = Decimal(0) if line["state"] == "off" else Decimal(str(line.get("usageRate") or 0))
    disk = types.disk_price(types.disk(float(line.get("storageTotal") or 0) / GB))
    return Machine(
        id=str(line["id"]),
        owner=owner,
        generation=generation,
        fingerprint=fingerprint,
        running=line["state"] in RUNNING,
        stopping=line["state"] == "stopping",
        provider="paperspace",
        state=line["state"],
        price=(compute + disk).quantize(Decimal("0.0001")),
        since=str(line.get("dtCreated") or ""),
        data=line,
    )
