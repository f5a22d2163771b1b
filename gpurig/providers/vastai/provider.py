"""Vast.ai: from a wish to an offer, from an offer to a machine and its endpoint."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gpurig import boot, gpus, keys
from gpurig.errors import RigError
from gpurig.host import Capabilities, Endpoint
from gpurig.offers import Offer, Wish
from gpurig.providers import BrokenError, DoubtError, Machine, NotReadyError, Order, RefusedError, read_mark
from gpurig.providers.api import VendorRefusedError
from gpurig.providers.rents import Rents
from gpurig.providers.vastai.client import Client
from gpurig.providers.vastai.spec import Spec
from gpurig.stack import Stack

IMAGE = "vastai/base-image:cuda-12.8.1-auto"
"""Vast.ai's own: Ubuntu with CUDA; sshd is started by the vendor."""

HOURS_A_MONTH = 720
"""How the vendor turns a price per month into one per hour."""

ONSTART_LIMIT = 4048
"""Characters of the start-up script; the vendor's limit."""

LEAST_CUDA = 12.8
LEAST_COMPUTE = 600
"""What PyTorch needs: driver's CUDA version, and compute capability × 100."""

NAMES = {
    "A100 40GB": ("A100 PCIE", "A100 SXM4", "A100X"),
    "A100 80GB": ("A100 PCIE", "A100 SXM4", "A100X"),
    "H100": ("H100 PCIE", "H100 SXM"),
    "RTX 4080 SUPER": ("RTX 4080S",),
    "V100 16GB": ("Tesla V100",),
    "V100 32GB": ("Tesla V100",),
    "T4": ("Tesla T4",),
    "P100": ("Tesla P100",),
}
"""What the vendor calls some models, where the table of GPUs does not say it; one name may mean several sizes."""

DEAD = ("exited", "unknown", "offline")
"""States that an instance does not leave by itself."""

BID_ABOVE_LEAST = Decimal("1.1")
"""A bid is this part above the least one, so that the next bidder does not take the machine at once."""


class Provider(Rents):
    """Containers at Vast.ai."""

    def __init__(self) -> None:
        self._client = Client()

    async def offers(self, wish: Wish) -> list[Offer]:
        filters: dict[str, Any] = {
            "verified": {"eq": True},
            "rentable": {"eq": True},
            "rented": {"eq": False},
            "num_gpus": {"eq": wish.count},
            "direct_port_count": {"gte": 1},
            "cuda_max_good": {"gte": LEAST_CUDA},
            "compute_cap": {"gte": LEAST_COMPUTE},
            "disk_space": {"gte": wish.disk},
        }
        if wish.gpu:
            filters["gpu_name"] = {"in": sorted({*gpus.spellings(wish.gpu), *NAMES.get(wish.gpu, ())})}
        found = await self._client.offers(filters, interruptible=wish.interruptible, disk=wish.disk)
        return [_offer(line, wish) for line in found]

    def everything(self) -> list[Machine]:
        found = []
        for line in self._client.instances():
            ours = read_mark(line.get("label"))
            if ours:
                found.append(_machine(line, *ours))
        return found

    def create(self, order: Order) -> str:
        spec: Spec = order.spec
        script = boot.container(order, starts_sshd=False)
        if len(script) > ONSTART_LIMIT:
            raise RefusedError(
                f"vastai: the start-up script has {len(script)} characters; {ONSTART_LIMIT} are allowed."
            )
        assert order.offer  # noqa: S101 (the life cycle gives one)
        body = {
            "client_id": "me",
            "image": spec.image or IMAGE,
            "disk": float(spec.disk),
            "label": order.mark,
            "onstart": script,
            "runtype": "ssh_direct",
            "target_state": "running",
            "cancel_unavail": True,
        }
        if order.offer.interruptible:
            body["price"] = float(order.offer.data["bid"])
        try:
            made = self._client.create(order.offer.id, body)
        except VendorRefusedError as error:
            contract = error.body.get("new_contract") if isinstance(error.body, dict) else None
            if "image" in str(error).lower():
                key = f"gpurig:hosts.{order.owner.host}.image"
                raise RefusedError(f"{error} Write another one as {key}.", another=False) from error
            another = error.status not in (402, 403)
            raise RefusedError(str(error), another=another, made=str(contract or "")) from error
        if "new_contract" not in made:
            raise DoubtError(f"vastai: {made.get('msg') or made.get('error') or 'its answer names no contract'}.")
        return str(made["new_contract"])

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        line = machine.data
        status = line.get("actual_status")
        message = (line.get("status_msg") or "").strip()
        if status == "created" and ": OCI runtime create failed:" in message:
            raise BrokenError(f"its container cannot start: {message}")
        if status in DEAD:
            raise BrokenError(f"it is {status}{f': {message}' if message else ''}")
        if status == "stopped" or line.get("intended_status") == "stopped":
            self._client.set_state(machine.id, "running")
            raise NotReadyError(machine.note or "starting; its GPU may be rented to somebody else meanwhile")
        ports = line.get("ports") or {}
        direct = ports.get("22/tcp") if isinstance(ports, dict) else None
        if status != "running" or not direct or not line.get("public_ipaddr"):
            raise NotReadyError(f"{status or 'provisioning'}{f': {message}' if message else ''}")
        return Endpoint(
            address=line["public_ipaddr"].strip(),
            port=int(direct[0]["HostPort"]),
            user="root",
            host_key=keys.public_half(order.host_key),
        )

    def end(self, stack: Stack, machine: Machine) -> None:
        try:
            self._client.destroy(machine.id)
        except VendorRefusedError as error:
            gone = error.status in (404, 410) or (
                isinstance(error.body, dict) and error.body.get("error") == "no_such_instance"
            )
            if not gone:
                raise

    def stop(self, machine: Machine) -> None:
        self._client.set_state(machine.id, "stopped")

    def start(self, machine: Machine) -> None:
        self._client.set_state(machine.id, "running")

    def why_gone(self, machine: str) -> str:
        try:
            credit = Decimal(str(self._client.user().get("credit") or 0))
        except RigError:
            return "the vendor no longer lists it"
        if credit <= 0:
            return f"the account's credit is ${credit:.2f}, and the vendor ends instances then"
        return "the vendor no longer lists it; its contract may have expired, or its owner taken the machine away"

    def capabilities(self, spec: Spec) -> Capabilities:
        return Capabilities(
            init="none",
            gpu_driver="provided",
            kernel="shared",
            privilege="root",
            can_stop=True,
            billed_stopped="disk",
            self_end="api",
        )


def _offer(line: dict[str, Any], wish: Wish) -> Offer:
    memory = float(line["gpu_ram"]) / 1024
    gpu = gpus.find(line["gpu_name"], memory)
    disk_price = Decimal(str(line["storage_cost"])) * Decimal(str(wish.disk)) / HOURS_A_MONTH
    bid = (Decimal(str(line["min_bid"])) * BID_ABOVE_LEAST).quantize(Decimal("0.0001")) if wish.interruptible else None
    cores, effective = line.get("cpu_cores"), line.get("cpu_cores_effective")
    share = effective / cores if cores and effective else 1.0
    place = str(line.get("geolocation") or "")
    return Offer(
        provider="vastai",
        id=str(line.get("ask_contract_id") or line["id"]),
        machine=str(line["machine_id"]),
        gpu=gpu.name if gpu else line["gpu_name"],
        count=line["num_gpus"],
        memory=float(gpu.memory) if gpu else round(memory, 1),
        cpus=effective,
        ram=round(line["cpu_ram"] * share / 1024, 1) if line.get("cpu_ram") else None,
        disk=line.get("disk_space"),
        region=place,
        country=place.rpartition(",")[2].strip().upper(),
        price=((bid if bid is not None else Decimal(str(line["dph_base"]))) + disk_price).quantize(Decimal("0.0001")),
        stopped=disk_price.quantize(Decimal("0.0001")),
        interruptible=wish.interruptible,
        reliability=line.get("reliability2") or line.get("reliability"),
        link=line.get("inet_down"),
        unique=True,
        data={"bid": str(bid)} if bid is not None else {},
    )


def _machine(line: dict[str, Any], owner: Any, generation: int, fingerprint: str) -> Machine:
    states = {line.get("cur_state"), line.get("next_state"), line.get("intended_status")}
    outbid = bool(line.get("is_bid")) and states == {"stopped"}
    price = line.get("dph_total")
    return Machine(
        id=str(line["id"]),
        owner=owner,
        generation=generation,
        fingerprint=fingerprint,
        running=line.get("actual_status") == "running",
        provider="vastai",
        state=str(line.get("actual_status") or "provisioning"),
        note="outbid: somebody pays more for this machine; its disk is kept, and billed" if outbid else "",
        price=None if price is None else Decimal(str(price)),
        since=str(line.get("start_date") or ""),
        data=line,
    )
