"""RunPod, simulated: REST v2 as of 2026-08 (https://docs.runpod.io/api-reference-v2/overview)."""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import Any

from gpurig import clock
from tests.clients.fake import Rented, Reply, Request, Vendor, route
from tests.clients.quota import Quota

NO_CAPACITY = "There are no longer any instances available with the requested specifications."
NO_FREE_GPU = "There are not enough free GPUs on the host machine to start this pod."
ACTIONS = {
    "PROVISIONING": ["stop", "terminate"],
    "STARTING": ["stop", "terminate"],
    "RUNNING": ["stop", "restart", "terminate"],
    "EXITED": ["start", "terminate"],
    "ERROR": ["start", "terminate"],
    "TERMINATED": [],
}


def gpu(name: str, short: str, memory: int, secure: float, community: float, most: int = 8) -> dict[str, Any]:
    """One model, as the catalogue lists it without availability. secure, community: USD per hour, 0 where there is none."""
    return {
        "id": name, "name": short, "pool": None, "manufacturer": "NVIDIA", "memory": memory, "secure": secure > 0,
        "community": community > 0, "price": {"secure": secure, "community": community},
        "maxCount": {"secure": most if secure else 0, "community": 4 if community else 0},
    }  # fmt: skip


class Runpod(Vendor):
    """Simulated RunPod.

    stock: how much is free, by model and cloud, in each data centre; "" in the community cloud, which names none. full: what
    the catalogue still shows and nobody gets; forbidden: models that the account has no access to. taken: GPUs of stopped pods
    are rented to others. stale: seconds for which a restarted pod still shows its old port.
    """

    name = "runpod"
    spec = "runpod/rest-v2-openapi.json"

    def __init__(self) -> None:
        super().__init__()
        self.gpus = [
            gpu("NVIDIA GeForce RTX 4090", "RTX 4090", 24, 0.69, 0.34),
            gpu("NVIDIA H100 80GB HBM3", "H100 SXM", 80, 2.99, 0),
            gpu("NVIDIA A100 80GB PCIe", "A100 PCIe", 80, 1.64, 1.19),
            {**gpu("AMD Instinct MI300X OAM", "MI300X", 192, 2.39, 0), "manufacturer": "AMD"},
        ]
        centres = {"EU-SE-1": "LOW", "EU-RO-1": "HIGH", "US-KS-2": "MEDIUM", "EUR-IS-1": "NONE"}
        self.stock = {(g["id"], "SECURE"): dict(centres) for g in self.gpus}
        self.stock |= {(g["id"], "COMMUNITY"): {"": "HIGH"} for g in self.gpus if g["community"]}
        self.full: set[tuple[str, str]] = set()
        self.forbidden: set[str] = set()
        self.taken = False
        self.stale = 15.0
        self.page = 1000
        self.shows_terminated = False
        self.volumes = [{"id": "2q9m7x4c", "name": "data", "size": 100, "dataCenter": "US-KS-2", "type": "STANDARD"}]
        self.quota = Quota()
        self._unfit: list[str] = []

    def error(self, status: int, code: str, message: str, errors: list[str] | None = None) -> Reply:
        body = {"title": HTTPStatus(status).phrase, "status": status, "detail": message}
        return Reply(status, {**body, "errors": errors} if errors else body)

    def answer(self, request: Request) -> Reply:
        reply = super().answer(request)
        reply.headers |= {"x-request-id": f"req-{len(self.calls)}", **self.quota.headers()}
        return reply

    @route("GET", "/v2/catalog/gpus", "offers")
    def catalogue(self, request: Request) -> Reply:
        query = request.query
        wants = query.get("include") == "AVAILABILITY"
        if wants and "product" not in query:
            return self.error(400, "", "product is required with include=AVAILABILITY")
        if not wants and {"product", "cloud", "count", "minCudaVersion"} & set(query):
            return self.error(400, "", "availability filters are valid only with include=AVAILABILITY")
        if query.get("cloud", "SECURE") not in ("SECURE", "COMMUNITY"):
            return self.error(
                422, "", "Request validation failed.", ["query.cloud: value must be one of 'SECURE', 'COMMUNITY'"]
            )
        found = [self._availability(g, query) if wants else g for g in self.gpus]
        return Reply(200, {"gpus": found})

    @route("GET", "/v2/network-volumes", "show")
    def network_volumes(self, request: Request) -> Reply:
        return Reply(200, {"networkVolumes": self.volumes})

    @route("PUT", "/v2/account/ssh-keys", "keys")
    def replace_keys(self, request: Request) -> Reply:
        return Reply(200, {"keys": request.body["keys"]})

    @route("POST", "/v2/pods", "create")
    def create(self, request: Request) -> Reply:
        if self._unfit:
            return self.error(422, "", "Request validation failed.", self._unfit)
        body: dict[str, Any] = request.body
        model = next((g for g in self.gpus if g["id"] == body.get("gpu", {}).get("id")), None)
        cloud, count, mounts = body.get("cloud", "SECURE"), body.get("gpu", {}).get("count", 1), body.get("mounts", {})
        if model is None or "cpu" in body:
            return self.error(400, "", "exactly one of gpu or cpu must be set, with an id from the catalog")
        if {"persistent", "network"} <= set(mounts):
            return self.error(400, "", "mounts.persistent and mounts.network are mutually exclusive")
        if model["id"] in self.forbidden:
            return self.error(403, "", "access denied")
        rate = model["price"][cloud.lower()] * count
        if self.balance < rate:
            return self.error(402, "", "Insufficient balance to deploy this pod.")
        places = body.get("dataCenterIds") or [*self.stock.get((model["id"], cloud), {})]
        for mount in mounts.get("network", []):
            volume = next((v for v in self.volumes if v["id"] == mount["volumeId"]), None)
            if volume is None:
                return self.error(404, "", "network volume not found")
            places = [place for place in places if place == volume["dataCenter"] and cloud == "SECURE"]
        place = next((p for p in places if self._free(model, cloud, p, count)), None)
        if place is None or (cloud == "COMMUNITY" and body.get("disk", 0) < 20):  # small disks find no machine there
            return self.error(400, "", NO_CAPACITY)
        made = self.rent(body["name"], body=body, place=place, cost=rate, created=clock.now().isoformat())
        made.facts |= {"started": made.made, "restarts": 0}
        if body["image"].startswith("nowhere/"):
            made.state = "error"  # the vendor finds out when it pulls the image
        return Reply(201, self._pod(made))

    @route("GET", "/v2/pods", "list")
    def pods(self, request: Request) -> Reply:
        try:
            after = int(base64.b64decode(request.query.get("cursor", ""), validate=True) or 0)
        except ValueError:
            return self.error(422, "", "Request validation failed.", ["query.cursor: malformed cursor"])
        rest = sorted((m for m in self.shown() if int(m.id) > after), key=lambda m: int(m.id))
        page = rest[: self.page]
        more = len(rest) > len(page)
        cursor = base64.b64encode(page[-1].id.encode()).decode() if more else None
        return Reply(
            200, {"pods": [self._pod(m) for m in page], "pagination": {"nextCursor": cursor, "hasNextPage": more}}
        )

    @route("GET", "/v2/pods/{id}", "show")
    def pod(self, request: Request, id: str) -> Reply:  # noqa: A002 (the specification's name)
        machine = self._machine(id)
        return Reply(200, self._pod(machine)) if machine else self.error(404, "", "pod not found")

    @route("DELETE", "/v2/pods/{id}", "end")
    def destroy(self, request: Request, id: str) -> Reply:  # noqa: A002 (the specification's name)
        machine = self._machine(id)
        if machine is None:
            return self.error(404, "", "pod not found")
        self.end(machine)
        return Reply(204)

    @route("POST", "/v2/pods/{id}/action", "write")
    def act(self, request: Request, id: str) -> Reply:  # noqa: A002 (the specification's name)
        machine = self._machine(id)
        if machine is None:
            return self.error(404, "", "pod not found")
        if self._unfit:
            return self.error(422, "", "Request validation failed.", self._unfit)
        action = request.body["action"]
        if action not in ACTIONS[self.status(machine)]:
            return self.error(409, "", f"action {action} is not valid for a pod that is {self.status(machine)}")
        if action == "terminate":
            return self.destroy(request, id)
        if action == "start" and self.taken:
            return self.error(400, "", NO_FREE_GPU)
        machine.state = "stopped" if action == "stop" else "running"
        if action != "stop":
            machine.facts |= {"started": clock.monotonic(), "restarts": machine.facts["restarts"] + 1}
        return Reply(200, self._pod(machine))

    def status(self, machine: Rented) -> str:
        """The vendor's word for what a pod does now."""
        if machine.ended is not None and self.shows_terminated:
            return "TERMINATED"
        if machine.state == "stopped":
            return "EXITED"
        age = clock.monotonic() - machine.facts["started"]
        if age < self.boots:
            return "PROVISIONING" if age < self.boots / 2 else "STARTING"
        return "ERROR" if machine.state == "error" else "RUNNING"

    def _pod(self, machine: Rented) -> dict[str, Any]:
        body, facts, status = machine.facts["body"], machine.facts, self.status(machine)
        uptime = clock.monotonic() - facts["started"] - self.boots
        address, port = self.endpoint(machine)
        if not machine.port:  # each start gives another one, and the one before is shown for a while
            port += facts["restarts"] - (1 if facts["restarts"] and uptime < self.stale else 0)
        reached = status == "RUNNING" and "22/tcp" in body.get("ports", [])
        direct = {"host": address, "port": port, "username": "root", "command": f"ssh root@{address} -p {port}"}
        open_port = {"private": 22, "public": port, "type": "tcp", "ip": address}
        runtime = {"uptime": int(uptime), "ports": [open_port] if reached else []}
        return {
            "id": machine.id, "name": machine.mark, "image": body["image"], "args": body.get("args", ""),
            "disk": body.get("disk", 10), "ports": body.get("ports", []), "env": body.get("env", {}), "registry": None,
            "status": status, "actions": ACTIONS[status], "mounts": body.get("mounts", {}),
            "gpu": {"id": body["gpu"]["id"], "count": body["gpu"].get("count", 1)}, "cloud": body.get("cloud", "SECURE"),
            "dataCenterId": facts["place"] or None, "cudaVersion": "12.8", "template": None, "locked": False,
            "ssh": {"proxy": None, "direct": direct if reached else None},
            "cost": 0.0 if status in ("EXITED", "TERMINATED") else facts["cost"], "globalNetworking": {"enabled": False},
            "runtime": runtime if status == "RUNNING" else None, "createdAt": facts["created"], "startedAt": None,
        }  # fmt: skip

    def _machine(self, id: str) -> Rented | None:  # noqa: A002 (the specification's name)
        found = self.machines.get(id)
        return found if found and found.ended is None else None

    def _availability(self, model: dict[str, Any], query: dict[str, str]) -> dict[str, Any]:
        cloud, count = query.get("cloud", "SECURE"), int(query.get("count", "1"))
        stock = self.stock.get((model["id"], cloud), {}) if count <= model["maxCount"][cloud.lower()] else {}
        best = next((level for level in ("HIGH", "MEDIUM", "LOW") if level in stock.values()), "NONE")
        centres = [{"id": p, "name": p, "availability": level} for p, level in stock.items() if p]
        return {**model, "availability": best, **({"dataCenters": centres} if centres and best != "NONE" else {})}

    def _free(self, model: dict[str, Any], cloud: str, place: str, count: int) -> bool:
        stock = self.stock.get((model["id"], cloud), {})
        many = count <= model["maxCount"][cloud.lower()]
        return many and stock.get(place, "NONE") != "NONE" and (cloud, place) not in self.full

    def _check(self, what: str, body: Any, where: list[str]) -> None:
        """Besides, what does not fit in a request is kept for the 422 that names it."""
        before = len(self.mistakes)
        super()._check(what, body, where)
        if what.startswith("request"):
            self._unfit = [mistake.partition(": ")[2] for mistake in self.mistakes[before:]]

    def _refused(self, request: Request, kind: str) -> Reply | None:
        if self.balance <= 0:
            self._run_dry()
        refused = super()._refused(request, kind)
        if refused is not None:
            return refused
        over = self.quota.use()
        return self.too_many(over) if over and self.strict_pace else None

    def too_many(self, kind: str) -> Reply:
        reply = self.error(429, "", f"rate limit exceeded for the {kind} window")
        reply.headers["Retry-After"] = str(self.quota.left(kind))
        return reply

    def _run_dry(self) -> None:
        """Without balance, pods are terminated, and those with a network volume are stopped."""
        for machine in self.living():
            if machine.facts["body"].get("mounts", {}).get("network"):
                machine.state = "stopped"
            else:
                self.end(machine)
