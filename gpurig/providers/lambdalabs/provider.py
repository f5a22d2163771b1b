"""Lambda: from a wish to an offer, from an offer to a machine and its endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from gpurig import boot, clock, gpus, keys
from gpurig.errors import ConfigError, RigError
from gpurig.host import Capabilities, Endpoint
from gpurig.offers import Offer, Wish
from gpurig.providers import (
    BrokenError,
    DoubtError,
    Machine,
    NotReadyError,
    Order,
    Owner,
    RefusedError,
    account_keys,
    read_mark,
)
from gpurig.providers.api import VendorRefusedError
from gpurig.providers.lambdalabs.client import Client, code
from gpurig.providers.lambdalabs.spec import Spec
from gpurig.providers.rents import Rents
from gpurig.stack import Stack

USER = "ubuntu"
PORT = 22

NAME_LIMIT = 64
TAG_LIMIT = 128
"""Characters of a machine's name and of a tag's value; the vendor's limits."""

MARKED = ("project", "stack", "host", "generation", "fingerprint")
"""Parts of the mark, each in a tag `gpurig-<part>`; `gpurig-made` has the time, which the vendor does not tell."""

ARM = ("GH200",)
"""GPUs whose machines have ARM processors, which the environments do not run on; offered only where named."""

DEAD = {
    "unhealthy": "Lambda says that it is unhealthy",
    "preempted": "Lambda took it back",
    "terminating": "it is being ended",
    "terminated": "it is ended",
}
"""States that an instance does not leave for a better one."""

UPSTREAM = ("provider/", "global/unknown", "global/internal-error")
"""How codes of errors begin that say nothing about what was done."""

COUNTRIES = {
    "USA": "US", "Germany": "DE", "Italy": "IT", "India": "IN", "Israel": "IL", "Japan": "JP", "Australia": "AU", "Canada": "CA",
    "France": "FR", "UK": "GB", "United Kingdom": "GB", "Singapore": "SG",
}  # fmt: skip
"""Ends of the vendor's descriptions of regions, such as `California, USA` → ISO 3166 codes."""


class Provider(Rents):
    """Virtual machines at Lambda."""

    def __init__(self) -> None:
        self._client = Client()

    async def offers(self, wish: Wish) -> list[Offer]:
        return [offer for entry in await self._client.types() for offer in _offers(entry, wish)]

    def everything(self) -> list[Machine]:
        found: dict[str, Machine] = {}
        for line in self._client.instances():
            ours = _mark(line)
            if ours and line["status"] != "terminated":
                found[line["id"]] = _machine(line, *ours)
        return list(found.values())

    def create(self, order: Order) -> str:
        spec: Spec = order.spec
        assert order.offer  # noqa: S101 (the life cycle gives one)
        region = order.offer.data["region"]
        image = self._image(spec.image, region) if spec.image else None
        body = {
            "region_name": region,
            "instance_type_name": order.offer.data["type"],
            "ssh_key_names": [
                account_keys.registered(order.public_key, self._client.keys, self._client.add_key)["name"]
            ],
            "name": _name(order),
            "tags": _tags(order),
            "user_data": boot.cloud_init(order, user=USER),
            **({"image": image} if image else {}),
        }
        try:
            return self._client.launch(body)
        except VendorRefusedError as error:
            if code(error).startswith(UPSTREAM):
                raise DoubtError(str(error)) from error
            raise RefusedError(str(error), another=error.status != 403) from error  # noqa: PLR2004 (HTTP's "forbidden")

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        line = machine.data
        if line["status"] in DEAD:
            raise BrokenError(DEAD[line["status"]])
        if line["status"] != "active":
            raise NotReadyError(line["status"])
        if not line.get("ip"):
            raise NotReadyError("active; its address is not known yet")
        return Endpoint(address=line["ip"], port=PORT, user=USER, host_key=keys.public_half(order.host_key))

    def end(self, stack: Stack, machine: Machine) -> None:
        if machine.state == "terminating":  # a second call would be answered with an error
            return
        problem = f"lambdalabs: {machine.id} was not ended, and no reason told."
        try:
            if self._client.terminate(machine.id):
                return
        except VendorRefusedError as error:
            problem = str(error)
        self._may_remain(machine.id, problem)

    def why_gone(self, machine: str) -> str:
        return "the vendor no longer lists it: it was ended in its console, or by Lambda, whose interface does not tell why"

    def capabilities(self, spec: Spec) -> Capabilities:
        return Capabilities(
            init="systemd",
            gpu_driver="provided",
            kernel="own",
            privilege="sudo",
            can_stop=False,
            billed_stopped="full",
        )

    def _may_remain(self, instance: str, problem: str) -> None:
        """Look why an instance was not ended. Raises DoubtError where it lives, so that it is tried again."""
        try:
            line = self._client.instance(instance)
        except VendorRefusedError as error:
            if error.status == 404 or code(error) == "global/object-does-not-exist":  # noqa: PLR2004 (HTTP's "not found")
                return
            raise
        if line["status"] in ("terminating", "terminated"):
            return
        possible = line["actions"]["terminate"]
        if not possible["available"]:
            problem = f"lambdalabs: {instance} cannot be ended yet: {possible.get('reason_description') or possible.get('reason_code')}."
        raise DoubtError(problem)

    def _image(self, wanted: str, region: str) -> dict[str, str]:
        """How a launch names an image. Raises RefusedError where there is none of that name."""
        try:
            every = self._client.images()
        except ConfigError:
            raise
        except RigError as error:
            raise RefusedError(f"{error} So nothing was rented.", another=False) from error
        fitting = [image for image in every if wanted in (image["id"], image["family"])]
        if not fitting:
            families = ", ".join(sorted({image["family"] for image in every}))
            raise RefusedError(f"lambdalabs: no image {wanted!r}; write one of: {families}, or an id.", another=False)
        if region not in [image["region"]["name"] for image in fitting]:
            raise RefusedError(f"lambdalabs: image {wanted!r} is not in {region}.")
        return {"family": wanted} if wanted == fitting[0]["family"] else {"id": wanted}


def _offers(entry: dict[str, Any], wish: Wish) -> Iterator[Offer]:
    """A type of machine, once for each region that has it now."""
    kind = entry["instance_type"]
    if not kind["specs"]["gpus"]:
        return
    described = re.match(r"(.+?) \((\d+)\s?GB", kind["gpu_description"])
    name, memory = (described[1], float(described[2])) if described else (kind["gpu_description"], None)
    gpu = gpus.find(name, memory)
    if gpu and gpu.name in ARM and wish.gpu != gpu.name:
        return
    for region in entry["regions_with_capacity_available"]:
        yield Offer(
            provider="lambdalabs",
            id=f"{kind['name']} in {region['name']}",
            machine=f"{kind['name']} in {region['name']}",
            gpu=gpu.name if gpu else name,
            count=kind["specs"]["gpus"],
            memory=float(gpu.memory) if gpu else memory or 0.0,
            cpus=kind["specs"]["vcpus"],
            ram=float(kind["specs"]["memory_gib"]),
            disk=float(kind["specs"]["storage_gib"]),
            region=region["name"],
            country=_country(region),
            price=_price(kind),
            data={"type": kind["name"], "region": region["name"]},
        )


def _country(region: dict[str, str]) -> str:
    place = region["description"].rpartition(",")[2].strip()
    return COUNTRIES.get(place, "US" if region["name"].startswith("us-") else "")


def _price(kind: dict[str, Any]) -> Decimal:
    return Decimal(kind["price_cents_per_hour"]) / 100


def _name(order: Order) -> str:
    """The mark where it fits, else something that a reader understands; the tags are what counts."""
    return order.mark if len(order.mark) <= NAME_LIMIT else f"gpurig {order.owner.host} {order.generation}"


def _tags(order: Order) -> list[dict[str, str]]:
    owner = order.owner
    values = (owner.project, owner.stack, owner.host, str(order.generation), order.spec.fingerprint())
    made = clock.now().isoformat(timespec="seconds")
    tags = {f"gpurig-{part}": value for part, value in [*zip(MARKED, values, strict=True), ("made", made)]}
    for key, value in tags.items():
        if len(value) > TAG_LIMIT:
            raise RefusedError(
                f"lambdalabs: the tag {key} may have {TAG_LIMIT} characters, and {value!r} has {len(value)}.",
                another=False,
            )
    return [{"key": key, "value": value} for key, value in tags.items()]


def _mark(line: dict[str, Any]) -> tuple[Owner, int, str] | None:
    """Whose an instance is, by its tags; by its name where somebody took them away."""
    tags = {tag["key"]: tag["value"] for tag in line.get("tags") or []}
    tagged = ".".join(["gpurig", *(tags.get(f"gpurig-{part}", "") for part in MARKED)])
    return read_mark(tagged) or read_mark(line.get("name"))


def _machine(line: dict[str, Any], owner: Owner, generation: int, fingerprint: str) -> Machine:
    made = [tag["value"] for tag in line.get("tags") or [] if tag["key"] == "gpurig-made"]
    return Machine(
        id=line["id"],
        owner=owner,
        generation=generation,
        fingerprint=fingerprint,
        running=line["status"] == "active",
        provider="lambdalabs",
        state=line["status"],
        note=DEAD.get(line["status"], ""),
        price=_price(line["instance_type"]),
        since=made[0] if made else "",
        data=line,
    )
