"""Vast.ai, simulated: https://docs.vast.ai/api-reference as of 2026-08."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, ClassVar

from tests.clients.fake import Rented, Reply, Request, Vendor, route

PRICE_MONTH = 0.15
"""USD per GB of disk and month."""


def offer(number: int, gpu: str = "RTX 4090", price: float = 0.35, **others: Any) -> dict[str, Any]:
    """One offer, as the search lists it."""
    return {
        "id": number, "ask_contract_id": number, "machine_id": 7000 + number, "host_id": 5, "num_gpus": 1, "gpu_name": gpu,
        "gpu_ram": 24564, "cpu_cores": 64, "cpu_cores_effective": 16.0, "cpu_ram": 257804, "disk_space": 500.0,
        "dph_base": price, "dph_total": price, "min_bid": price / 2, "storage_cost": PRICE_MONTH, "reliability2": 0.995,
        "verification": "verified", "direct_port_count": 20, "geolocation": "Sweden, SE", "cuda_max_good": 12.9,
        "driver_version": "580.95.05", "inet_up": 800.0, "inet_down": 900.0, "duration": 2_000_000.0, "rentable": True,
        "rented": False, "compute_cap": 890, **others,
    }  # fmt: skip


class Vastai(Vendor):
    """Simulated Vast.ai."""

    name = "vastai"
    spec = "vastai/openapi.yaml"
    every: ClassVar = {"create": 4.5, "end": 3.0, "list": 1.0, "write": 1.0, "offers": 6.0, "user": 5.0}
    overlays: ClassVar = {
        r"request of create.*\$\.env": "env is an object in life, a string in the specification",
        r"reply \d+ of offers.*offers": "offers is a list in life, an object in the specification",
        r"reply 200 of list.*\.ports": "ports maps to lists of addresses in life",
        r"request of offers.*\$\.order": "one sort key is a list of one pair in life; the specification wants two",
        r"reply 4\d\d.*error": "the specification's list of error codes is not complete",
    }

    def __init__(self) -> None:
        super().__init__()
        self.offers = [offer(1 + n, price=0.35 + n / 100) for n in range(12)]
        self.refuses_with_contract = 0
        self.gone: set[int] = set()
        self.cannot_start: set[int] = set()
        self.outbid = False
        self.says_nothing = False

    def error(self, status: int, code: str, message: str) -> Reply:
        return Reply(status, {"success": False, "error": code, "msg": message})

    @route("POST", "/api/v0/bundles/", "offers")
    def search(self, request: Request) -> Reply:
        found = [o for o in self.offers if _meets(o, request.body)]
        found.sort(key=lambda o: float(o["dph_total"]))
        return Reply(200, {"offers": found[: request.body.get("limit", 64)]})

    @route("PUT", "/api/v0/asks/{number}/", "create")
    def create(self, request: Request, number: str) -> Reply:
        body: dict[str, Any] = request.body
        found = next((o for o in self.offers if str(o["id"]) == number and o["rentable"]), None)
        if found is None or found["id"] in self.gone:
            return self.error(404, "no_such_ask", f"Instance type by id {number} is not available")
        if self.balance <= 0:
            return self.error(402, "insufficient_credit", "Your account lacks credit")
        if len(body.get("onstart", "")) > 4048 or len(body.get("label", "")) > 256 or body.get("disk", 0) < 8:
            return self.error(400, "invalid_args", "error 400/3467: Invalid args")
        if str(body["image"]).startswith("nowhere/"):
            return self.error(400, "invalid_args", f"error 400: image {body['image']} not found")
        bid = body.get("price")
        if self.refuses_with_contract or (bid is not None and bid < found["min_bid"]):
            self.refuses_with_contract -= bool(self.refuses_with_contract)
            made = self.rent(body["label"], offer=found, body=body)
            made.state = "stopped"
            return Reply(
                400, {"success": False, "error": "invalid_price", "msg": "bid too low", "new_contract": int(made.id)}
            )
        found["rentable"] = False
        made = self.rent(body["label"], offer=found, body=body)
        return Reply(200, {"success": True} if self.says_nothing else {"success": True, "new_contract": int(made.id)})

    @route("GET", "/api/v1/instances/", "list")
    def instances(self, request: Request) -> Reply:
        limit = int(request.query.get("limit", "25"))
        if limit > 25:
            return self.error(400, "invalid_args", "limit is at most 25")
        after = int(request.query.get("after_token") or 0)
        every = sorted(self.shown(), key=lambda m: int(m.id))
        rest = [m for m in every if int(m.id) > after]
        page = rest[:limit]
        token = page[-1].id if len(rest) > limit else None
        return Reply(200, {
            "success": True, "instances_found": len(page), "total_instances": len(every), "label_counts": {},
            "next_token": token, "instances": [self._line(m) for m in page],
        })  # fmt: skip

    @route("PUT", "/api/v0/instances/{number}/", "write")
    def manage(self, request: Request, number: str) -> Reply:
        machine = self._machine(number)
        if machine is None:
            return self.error(404, "no_such_instance", f"Instance {number} not found")
        if not (self.outbid and request.body["state"] == "running"):
            machine.state = request.body["state"]
        return Reply(200, {"success": True, "msg": "Instance updated."})

    @route("DELETE", "/api/v0/instances/{number}/", "end")
    def destroy(self, request: Request, number: str) -> Reply:
        machine = self._machine(number)
        if machine is None:
            return self.error(404, "no_such_instance", f"Instance {number} not found")
        self.end(machine)
        machine.facts["offer"]["rentable"] = True
        return Reply(200, {"success": True, "msg": "Instance destroyed successfully."})

    @route("GET", "/api/v0/users/current/", "user")
    def user(self, request: Request) -> Reply:
        return Reply(200, {"id": 1, "email": "x@example.org", "credit": self.balance, "balance": 0.0})

    def _machine(self, number: str) -> Rented | None:
        found = self.machines.get(number)
        return found if found and found.ended is None else None

    def _line(self, machine: Rented) -> dict[str, Any]:
        found, body = machine.facts["offer"], machine.facts["body"]
        broken = found["machine_id"] in self.cannot_start
        runs = self.runs(machine) and not broken
        message = "Error response from daemon: OCI runtime create failed: no GPU" if broken else machine.note
        status = (
            "created" if broken else machine.state if machine.state != "running" else "running" if runs else "loading"
        )
        stopped = machine.state == "stopped"
        address, port = self.endpoint(machine)
        return {
            "id": int(machine.id), "label": machine.mark, "actual_status": status,
            "cur_state": "stopped" if stopped else "running", "next_state": "stopped" if stopped else "running",
            "intended_status": "stopped" if stopped else "running", "is_bid": "price" in body,
            "status_msg": message or ("success, running" if runs else "Pulling from vastai/base-image"),
            "machine_id": found["machine_id"], "gpu_name": found["gpu_name"], "num_gpus": found["num_gpus"],
            "dph_total": found["dph_total"], "start_date": machine.made, "image_runtype": "ssh_direc ssh_proxy",
            "ssh_host": "ssh4.vast.ai", "ssh_port": 10600, "public_ipaddr": f"{address} " if runs else "",
            "ports": {"22/tcp": [{"HostIp": "", "HostPort": str(port)}]} if runs else {},
        }  # fmt: skip


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "neq": operator.ne, "gt": operator.gt, "lt": operator.lt, "gte": operator.ge, "lte": operator.le,
    "in": lambda value, among: value in among, "notin": lambda value, among: value not in among,
}  # fmt: skip


def _meets(found: dict[str, Any], body: dict[str, Any]) -> bool:
    plain = {"type", "order", "limit", "allocated_storage"}
    given = {**found, "verified": found["verification"] == "verified", "reliability": found["reliability2"]}
    return all(
        OPERATORS[name_of](given[name], value)
        for name, condition in body.items()
        if name not in plain
        for name_of, value in condition.items()
    )
