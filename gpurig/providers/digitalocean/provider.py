"""DigitalOcean: from a wish to an offer, from an offer to a droplet and its endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from gpurig import boot, gpus, keys
from gpurig.errors import ConfigError, RigError
from gpurig.host import Capabilities, Endpoint
from gpurig.offers import Offer, Wish
from gpurig.providers import BrokenError, Machine, NotReadyError, Order, Owner, RefusedError, account_keys
from gpurig.providers.api import VendorRefusedError
from gpurig.providers.digitalocean import marks
from gpurig.providers.digitalocean.client import Client
from gpurig.providers.digitalocean.spec import Spec
from gpurig.providers.rents import Rents
from gpurig.stack import Stack

USER = "root"
PORT = 22

USER_DATA_LIMIT = 64 * 1024
"""Bytes; the vendor's limit."""

COUNTRIES = {
    "nyc": "US", "sfo": "US", "atl": "US", "ric": "US", "tor": "CA", "ams": "NL", "fra": "DE", "lon": "GB", "blr": "IN",
    "sgp": "SG", "syd": "AU",
}  # fmt: skip
"""First letters of regions → ISO 3166 codes."""


class Provider(Rents):
    """GPU droplets at DigitalOcean."""

    def __init__(self) -> None:
        self._client = Client()

    async def offers(self, wish: Wish) -> list[Offer]:
        return [offer for size in await self._client.sizes() for offer in _offers(size)]

    def everything(self) -> list[Machine]:
        with_gpu = self._client.droplets({"type": "gpus"})
        found: dict[int, Machine] = {}
        for line in [*self._tagged(), *with_gpu]:
            ours = marks.read(line)
            if ours:
                found[line["id"]] = _machine(line, *ours)
        return list(found.values())

    def create(self, order: Order) -> str:
        spec: Spec = order.spec
        assert order.offer  # noqa: S101 (the life cycle gives one)
        name, tag = marks.name(order.owner.host, order.generation, order.mark), marks.tag(order.mark)
        if name is None or tag is None:
            raise RefusedError(
                f"digitalocean: {order.mark} cannot be a droplet's tag and name; use a shorter name of project or stack, of plain "
                "letters and digits.",
                another=False,
            )
        user_data = boot.cloud_init(order, user=USER)
        if len(user_data.encode()) > USER_DATA_LIMIT:
            raise RefusedError(f"digitalocean: user data is limited to {USER_DATA_LIMIT} bytes.", another=False)
        body = {
            "name": name,
            "region": order.offer.data["region"],
            "size": order.offer.data["size"],
            "image": _image(spec.image) if spec.image else order.offer.data["image"],
            "ssh_keys": [account_keys.registered(order.public_key, self._client.keys, self._client.add_key)["id"]],
            "tags": [marks.TAG, tag],
            "user_data": user_data,
            "with_droplet_agent": False,  # it lets in whoever may use the vendor's console
        }
        try:
            return self._client.create(body)
        except VendorRefusedError as error:
            raise RefusedError(str(error), another=error.status not in (402, 403)) from error

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        line = machine.data
        match line["status"]:
            case "new":
                self._check_creation(machine)
                raise NotReadyError("being created")
            case "off":
                self._power_on(machine)
                raise NotReadyError("it was switched off; starting it")
            case "active":
                address = _address(line)
                if address is None:
                    raise NotReadyError("active; its address is not known yet")
                return Endpoint(address=address, port=PORT, user=USER, host_key=keys.public_half(order.host_key))
            case status:
                raise BrokenError(f"it is in state {status!r}")

    def end(self, stack: Stack, machine: Machine) -> None:
        try:
            self._client.delete(machine.id)
        except VendorRefusedError as error:
            if error.status != 404:  # noqa: PLR2004 (HTTP's "not found")
                raise

    def stop(self, machine: Machine) -> None:
        raise ConfigError(
            f"{machine.owner.host}: DigitalOcean bills a droplet that is switched off like one that runs, so stopping saves nothing. "
            f"`rig down {machine.owner.host}` ends it."
        )

    def why_gone(self, machine: str) -> str:
        try:
            owed = Decimal(self._client.balance()["account_balance"])
        except (RigError, KeyError, ArithmeticError):
            return "the vendor no longer lists it"
        if owed > 0:
            return f"the vendor no longer lists it; the account owes ${owed:.2f}, and DigitalOcean ends the droplets of those who do not pay"
        return "the vendor no longer lists it; somebody deleted it there"

    def capabilities(self, spec: Spec) -> Capabilities:
        return Capabilities(
            init="systemd",
            gpu_driver="provided",
            kernel="own",
            privilege="root",
            can_stop=False,
            billed_stopped="full",
        )

    def _tagged(self) -> list[dict[str, Any]]:
        """Droplets of whatever kind with our tag; it cannot be asked for together with the kind."""
        try:
            return self._client.droplets({"tag_name": marks.TAG})
        except VendorRefusedError as error:
            if error.status != 404:  # noqa: PLR2004 (HTTP's "not found": nobody has used the tag yet)
                raise
            return []

    def _check_creation(self, machine: Machine) -> None:
        """Raise BrokenError where the vendor gave up making a droplet: it accepts first and tries then."""
        for action in self._client.actions(machine.id):
            if action["type"] == "create" and action["status"] == "errored":
                raise BrokenError("the vendor failed to create it")

    def _power_on(self, machine: Machine) -> None:
        try:
            self._client.power_on(machine.id)
        except VendorRefusedError as error:  # such as another action that is not done yet
            raise NotReadyError(str(error)) from error


def _offers(size: dict[str, Any]) -> Iterator[Offer]:
    """A size with GPUs, once for each region that has it now. Memory of GPUs is told for all of them together."""
    info = size.get("gpu_info")
    if not info or not size["available"]:
        return
    count = info["count"]
    memory = info["vram"]["amount"] / count
    gpu = gpus.find(info["model"], memory)
    for region in size["regions"]:
        yield Offer(
            provider="digitalocean",
            id=f"{size['slug']} in {region}",
            machine=f"{size['slug']} in {region}",
            gpu=gpu.name if gpu else info["model"],
            count=count,
            memory=float(gpu.memory) if gpu else memory,
            cpus=size["vcpus"],
            ram=round(size["memory"] / 1024, 1),
            disk=float(size["disk"]),
            region=region,
            country=COUNTRIES.get(region[:3], ""),
            price=_price(size),
            data={"size": size["slug"], "region": region, "image": _boot_image(info["model"], count)},
        )


def _boot_image(model: str, count: int) -> str:
    """The vendor's image with the driver; it has one for any single NVIDIA GPU, one for eight, and one for AMD."""
    if model.startswith("amd"):
        return "gpu-amd-base"
    return "gpu-h100x1-base" if count == 1 else "gpu-h100x8-base"


def _image(written: str) -> str | int:
    """The name of an image, or its number, as the vendor takes it."""
    return int(written) if written.isdecimal() else written


def _price(size: dict[str, Any]) -> Decimal:
    """The vendor sends a rounded binary fraction: 0.00743999984115362 is 0.00744."""
    return Decimal(str(round(size["price_hourly"], 5)))


def _address(line: dict[str, Any]) -> str | None:
    """The public address of a droplet; None while it has none."""
    networks = line["networks"].get("v4") or []
    return next((network["ip_address"] for network in networks if network["type"] == "public"), None)


def _machine(line: dict[str, Any], owner: Owner, generation: int, fingerprint: str) -> Machine:
    return Machine(
        id=str(line["id"]),
        owner=owner,
        generation=generation,
        fingerprint=fingerprint,
        running=line["status"] == "active",
        provider="digitalocean",
        state=line["status"],
        note="somebody switched it off; it is billed in full" if line["status"] == "off" else "",
        price=_price(line["size"]),
        since=line["created_at"],
        data=line,
    )
