"""RunPod: from a wish to an offer, from an offer to a pod and its endpoint."""

from __future__ import annotations

import asyncio
import base64
from decimal import Decimal
from typing import Any

from gpurig import boot, keys
from gpurig.errors import ConfigError, RigError
from gpurig.host import Capabilities, Endpoint
from gpurig.offers import Offer, Wish
from gpurig.providers import BrokenError, Machine, NotReadyError, Order, RefusedError, read_mark
from gpurig.providers.api import UnsentError, VendorDoubtError, VendorRefusedError
from gpurig.providers.rents import Rents
from gpurig.providers.runpod.client import Client
from gpurig.providers.runpod.pricing import disks, offers_of, price
from gpurig.providers.runpod.spec import NetworkVolume, RunpodWish, Spec
from gpurig.stack import Stack

IMAGE = "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404"
"""RunPod's own, by the tag that its specification uses: Ubuntu 24.04 with CUDA 12.8, and sshd."""

LEAST_CUDA = "12.8"
"""What PyTorch needs of the machine's driver."""

STARTED = ("PROVISIONING", "STARTING", "RUNNING")

SETTLED = 20
"""Seconds of a container's life after which its public port is the true one; before, that of its last life may be shown."""

SCRIPT = "GPURIG_START"
ARGS = f"bash -c 'exec env -u {SCRIPT} bash <(echo ${SCRIPT} | base64 -d)'"
"""Runs the start-up script instead of the image's command. It comes encoded in a variable, which nobody's quoting can
break, and which is taken away before the script runs, since the image's own script would copy it for every login."""

LASTING = "/workspace"
"""Where the disk is that outlasts a stop."""

KEPT = f"""\
# The container's own disk is wiped at every stop, so what is gpurig's lies on the one that is kept.
for place in /root/gpurig /opt/gpurig; do
  mkdir -p "{LASTING}$place"
  ln -sfn "{LASTING}$place" "$place"
done
"""


class Provider(Rents):
    """Pods at RunPod."""

    def __init__(self) -> None:
        self._client = Client()

    async def offers(self, wish: Wish) -> list[Offer]:
        if wish.interruptible:
            raise RigError(
                "runpod: it no longer rents out interruptible machines; write `interruptible: false`, or another provider."
            )
        cloud = wish.cloud if isinstance(wish, RunpodWish) else "any"
        volume = wish.network_volume if isinstance(wish, RunpodWish) else None
        place = await self._place(volume) if volume else None
        clouds = ["SECURE"] if volume else ["SECURE", "COMMUNITY"] if cloud == "any" else [cloud.upper()]
        asked = (self._client.gpus(cloud=one, count=wish.count, cuda=LEAST_CUDA) for one in clouds)
        found = zip(clouds, await asyncio.gather(*asked), strict=True)
        every = (
            offer for one, lines in found for line in lines for offer in offers_of(line, one, wish, stops=not volume)
        )
        return [offer for offer in every if place in (None, offer.region)]

    async def _place(self, volume: str) -> str:
        """The data centre of a network volume: a pod that mounts it can be nowhere else."""
        every = await self._client.volumes()
        found = next((line for line in every if line["id"] == volume), None)
        if found is None:
            known = ", ".join(f"{line['id']} ({line['name']}, {line['dataCenter']})" for line in every) or "none"
            raise ConfigError(f"runpod: network_volume: the account has no volume {volume!r}; it has: {known}.")
        return str(found["dataCenter"])

    def everything(self) -> list[Machine]:
        found = []
        for line in self._client.pods():
            ours = read_mark(line.get("name"))
            if ours and line.get("status") != "TERMINATED":
                found.append(_machine(line, *ours))
        return found

    def create(self, order: Order) -> str:
        spec = order.spec
        assert order.offer  # noqa: S101 (the life cycle gives one)
        data = order.offer.data
        volume = _volume(spec)
        own, lasting = disks(spec.disk, stops=volume is None)
        script = ("" if volume else KEPT) + boot.container(order, starts_sshd=True)
        body = {
            "name": order.mark,
            "image": spec.image or IMAGE,
            "cloud": data["cloud"],
            "gpu": {"id": data["gpu"], "count": spec.count, "minCudaVersion": LEAST_CUDA},
            "disk": own,
            "mounts": {"network": [{"volumeId": volume.id, "path": volume.path}]}
            if volume
            else {"persistent": {"size": lasting, "path": LASTING}},
            "ports": ["22/tcp"],
            "env": {"PUBLIC_KEY": order.public_key, SCRIPT: base64.b64encode(script.encode()).decode()},
            "args": ARGS,
        }
        if data["place"]:
            body["dataCenterIds"] = [data["place"]]
        try:
            return str(self._client.create(body).get("id") or "")
        except VendorRefusedError as error:
            # 400: nothing is free there, or else a mistake in the request; 403: no access to this kind of machine.
            raise RefusedError(str(error), another=error.status in (400, 403)) from error

    def prepare(self, machine: Machine, order: Order) -> Endpoint:
        line = machine.data
        if machine.state == "ERROR":
            raise BrokenError(f"its container cannot run; does the image {line.get('image')} exist, and for x86-64?")
        if machine.state == "EXITED":
            try:
                self.start(machine)
            except UnsentError as error:
                raise NotReadyError(str(error)) from error
            except RefusedError as error:
                raise BrokenError(str(error)) from error
            raise NotReadyError("starting; its GPU may be rented to somebody else meanwhile")
        if machine.state != "RUNNING":
            raise NotReadyError(machine.state.lower())
        count = (line.get("gpu") or {}).get("count", 1)
        if count < order.spec.count:
            raise BrokenError(
                f"it runs with {count} GPUs, not {order.spec.count}: the others were rented to somebody else"
            )
        direct = (line.get("ssh") or {}).get("direct")
        if not direct or not direct.get("port"):
            raise NotReadyError("running, without a public port for SSH yet")
        runtime = line.get("runtime") or {}
        ports = [port.get("public") for port in runtime.get("ports") or [] if port.get("private") == 22]  # noqa: PLR2004
        if runtime.get("uptime", SETTLED) < SETTLED or any(port != direct["port"] for port in ports):
            raise NotReadyError("running; its public port may still change")
        return Endpoint(
            address=direct["host"],
            port=int(direct["port"]),
            user=direct.get("username") or "root",
            host_key=keys.public_half(order.host_key),
        )

    def end(self, stack: Stack, machine: Machine) -> None:
        try:
            self._client.destroy(machine.id)
        except VendorRefusedError as error:
            if error.status != 404:  # noqa: PLR2004
                raise

    def stop(self, machine: Machine) -> None:
        if (machine.data.get("mounts") or {}).get("network"):
            raise ConfigError(
                f"{machine.owner.host}: stopping would wipe all of its disk but the network volume; `rig down` ends it, "
                "and keeps the volume as well."
            )
        self._act(machine, "stop", ("EXITED",))

    def start(self, machine: Machine) -> None:
        try:
            self._act(machine, "start", STARTED)
        except VendorRefusedError as error:
            raise RefusedError(
                f"{error} Its disk is kept, and billed. A stopped pod can only start on its own machine: try again later, or "
                f"`rig rebuild {machine.owner.host}` rents another one."
            ) from error

    def _act(self, machine: Machine, action: str, reached: tuple[str, ...]) -> None:
        if machine.state in reached:
            return
        try:
            self._client.act(machine.id, action)
        except VendorDoubtError as error:
            refused = error.status == 409  # noqa: PLR2004 (not from its present state)
            if not refused or self._client.pod(machine.id).get("status") not in reached:
                raise

    def why_gone(self, machine: str) -> str:
        return (
            "the vendor no longer lists it; it was ended elsewhere, or the account's balance was $0: RunPod ends pods then, "
            "and stops those with a network volume (https://console.runpod.io/user/billing)"
        )

    def capabilities(self, spec: Any) -> Capabilities:
        stops = _volume(spec) is None
        return Capabilities(
            init="none",
            gpu_driver="provided",
            kernel="shared",
            privilege="root",
            can_stop=stops,
            stop_keeps=LASTING,
            billed_stopped="disk" if stops else "nothing",
            self_end="api",
        )


def _volume(spec: Any) -> NetworkVolume | None:
    """The network volume that a host's entry names; an entry for several providers cannot name one."""
    return spec.network_volume if isinstance(spec, Spec) else None


def _machine(line: dict[str, Any], owner: Any, generation: int, fingerprint: str) -> Machine:
    state = str(line.get("status") or "")
    lasting = ((line.get("mounts") or {}).get("persistent") or {}).get("size", 0)
    gpus = None if line.get("cost") is None else Decimal(str(line["cost"]))  # 0 while stopped; disks are never in it
    stopped = state == "EXITED"
    return Machine(
        id=str(line["id"]),
        owner=owner,
        generation=generation,
        fingerprint=fingerprint,
        running=state == "RUNNING",
        provider="runpod",
        state=state,
        price=None if gpus is None else price(gpus, line.get("disk") or 0, lasting, stopped=stopped),
        since=str(line.get("createdAt") or ""),
        data={key: value for key, value in line.items() if key != "env"},  # which has the host's private key
    )
