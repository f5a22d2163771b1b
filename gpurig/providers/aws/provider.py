"""AWS: what instances cost, which are there, and how they end. Pulumi's program makes them: gpurig.providers.aws.program.

Never run against Amazon; see the package. An instance's id here is `region/i-…`, so that it is found without asking every region.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from typing import Any

from gpurig import keys, records, stack_file
from gpurig.errors import ConfigError, RigError
from gpurig.host import Capabilities, Endpoint
from gpurig.ledger import Ledger
from gpurig.offers import Offer, Wish
from gpurig.providers import BrokenError, Machine, NotReadyError, Order, Owner, RefusedError, read_mark
from gpurig.providers.aws import client, search, types
from gpurig.providers.aws.spec import Spec
from gpurig.providers.rents import Rents
from gpurig.stack import Stack

USER = "ubuntu"

PRICE, STOPPED = f"{client.TAG}-price", f"{client.TAG}-price-stopped"
"""Keys of tags with what an instance costs, in USD per hour with its disk, so that every computer knows."""

SECONDS = 14.0
"""How long a search may take."""


class Provider(Rents):
    """Instances at AWS."""

    async def offers(self, wish: Wish) -> list[Offer]:
        try:
            return await asyncio.wait_for(asyncio.to_thread(search.offers, wish), SECONDS)
        except TimeoutError:
            raise RigError(f"aws: no answer within {SECONDS:.0f} s") from None

    def everything(self) -> list[Machine]:
        return _listed(client.regions())

    def machines(self, stack: Stack, owner: Owner) -> list[Machine]:
        """As `everything`, of one owner; looks only into the regions where a machine of it can be, where those are known."""
        return [m for m in _listed(_regions(stack, owner) or client.regions()) if m.owner == owner]

    def create(self, order: Order) -> str:
        raise RefusedError(
            f"{order.owner.host}: aws needs Pulumi's CLI, whose program makes the instance: install it (`make setup-pulumi`), then "
            "`rig up`. Under Pulumi this says that the instance is gone: `rig up` again makes another.",
            another=False,
        )

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        line = machine.data
        if machine.state == "shutting-down":
            raise BrokenError(f"it is ending{f': {machine.note}' if machine.note else ''}")
        if machine.state == "stopped":
            client.start(*_place(machine.id))
            raise NotReadyError("starting")
        address = line.get("PublicIpAddress")
        if machine.state != "running" or not address:
            raise NotReadyError("running, without an address" if machine.state == "running" else machine.state)
        return Endpoint(address=address, port=22, user=USER, host_key=keys.public_half(order.host_key))

    def end(self, stack: Stack, machine: Machine) -> None:
        client.terminate(*_place(machine.id))

    def stop(self, machine: Machine) -> None:
        if machine.data.get("InstanceLifecycle") == "spot":
            raise ConfigError(f"{machine.owner.host}: a spot instance cannot be stopped; `rig down` ends it.")
        client.stop(*_place(machine.id))

    def start(self, machine: Machine) -> None:
        client.start(*_place(machine.id))

    def why_gone(self, machine: str) -> str:
        with suppress(RigError):
            line = client.instance(*_place(machine))
            if line and _reason(line):
                return f"AWS says: {_reason(line)}"
        return "AWS no longer lists it: it was terminated more than an hour ago, from inside, by somebody, or for want of spot capacity"

    def capabilities(self, spec: Spec) -> Capabilities:
        return Capabilities(
            init="systemd",
            gpu_driver="provided",
            kernel="own",
            privilege="sudo",
            can_stop=not spec.interruptible,
            billed_stopped="disk",
            self_end="shutdown",
        )


def _listed(regions: Iterable[str]) -> list[Machine]:
    """Every machine of ours in these regions, the newest first: the one that Pulumi's state has, should an older one be left."""
    places = list(regions)
    found = [
        (line.get("LaunchTime"), _machine(line, region, *ours))
        for region, lines in zip(places, search.side_by_side(client.instances, places), strict=True)
        for line in lines
        if (ours := read_mark(_tags(line).get(client.TAG)))
    ]
    return [machine for _, machine in sorted(found, key=lambda pair: str(pair[0]), reverse=True)]


def _machine(line: dict[str, Any], region: str, owner: Owner, generation: int, fingerprint: str) -> Machine:
    tags, state = _tags(line), line["State"]["Name"]
    told = tags.get(STOPPED if state in ("stopped", "stopping") else PRICE) or tags.get(PRICE)
    return Machine(
        id=f"{region}/{line['InstanceId']}",
        owner=owner,
        generation=generation,
        fingerprint=fingerprint,
        running=state == "running",
        stopping=state == "stopping",
        provider="aws",
        state=state,
        note="" if state == "running" else _reason(line),
        price=Decimal(told) if told else types.assumed(line["InstanceType"], region),
        since=str(line.get("LaunchTime") or ""),
        data=line,
    )


def _reason(line: dict[str, Any]) -> str:
    """Why an instance does not run, in AWS's words; empty where it says nothing."""
    return str((line.get("StateReason") or {}).get("Message") or line.get("StateTransitionReason") or "")


def _tags(line: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in line.get("Tags", ())}


def _place(machine: str) -> tuple[str, str]:
    region, _, identifier = machine.partition("/")
    return region, identifier


def _regions(stack: Stack, owner: Owner) -> set[str]:
    """Where machines of a host may be, as far as it is noted here; empty where nothing is."""
    noted: set[str] = set()
    try:
        recorded = records.get(stack, owner.host)
        rentals = Ledger(stack.home).of_host(owner.project, owner.stack, owner.host)
        entry = (stack_file.read(stack.file).get("hosts") or {}).get(owner.host)
    except RigError:
        return noted
    if recorded and recorded.provider == "aws":
        noted.add(_place(recorded.id)[0])
    for rental in rentals:
        if rental.provider == "aws":
            noted.add(str(rental.offer.get("region") or _place(rental.machine)[0]))
    if isinstance(entry, dict) and entry.get("provider") == "aws":
        noted.add(str(entry.get("region")))
    found = {name for name in noted if re.match(types.REGION, name)}
    return found | {client.default_region() or next(iter(found))} if found else found
