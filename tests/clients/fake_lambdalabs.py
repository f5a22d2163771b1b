"""Lambda, simulated: https://cloud.lambda.ai/api/v1/openapi.json, version 1.10.0."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from gpurig import clock
from tests.clients.fake import Rented, Reply, Request, Vendor, route

CODES = {
    "unauthorized": "global/invalid-api-key",
    "forbidden": "global/forbidden",
    "not_found": "global/not-found",
}
"""What every simulated vendor refuses → the vendor's code for it."""

MISSING = "global/object-does-not-exist"
INVALID = "global/invalid-parameters"

LAUNCH_FIELDS = {
    "region_name", "instance_type_name", "ssh_key_names", "file_system_names", "file_system_mounts", "hostname", "name", "image",
    "user_data", "tags", "firewall_rulesets",
}  # fmt: skip

REGIONS = {
    "us-east-1": "Virginia, USA",
    "us-west-1": "California, USA",
    "us-south-1": "Texas, USA",
    "europe-central-1": "Germany",
    "asia-northeast-1": "Osaka, Japan",
}

USER_DATA_LIMIT = 1_000_000


def kind(name: str, description: str, cents: int, *regions: str, storage: int = 1400) -> dict[str, Any]:
    """A type of machine, as the list of types has it. description: such as `8x H100 (80 GB SXM5)`."""
    count, gpu = description.split("x ", 1)
    return {
        "instance_type": {
            "name": name, "description": description, "gpu_description": gpu, "price_cents_per_hour": cents,
            "specs": {"vcpus": 30, "memory_gib": 200, "storage_gib": storage, "gpus": int(count)},
        },
        "regions_with_capacity_available": [{"name": region, "description": REGIONS[region]} for region in regions],
    }  # fmt: skip


KINDS = (
    kind("gpu_1x_a10", "1x A10 (24 GB PCIe)", 75, "us-east-1", "us-west-1", "europe-central-1", "asia-northeast-1"),
    kind("gpu_1x_a6000", "1x RTX A6000 (48 GB)", 80),
    kind("gpu_1x_h100_pcie", "1x H100 (80 GB PCIe)", 249, "us-west-1"),
    kind("gpu_1x_gh200", "1x GH200 (96 GB)", 149, "us-east-1", storage=4096),
    kind("gpu_8x_a100", "8x A100 (40 GB SXM4)", 1032, "us-east-1", storage=6144),
    kind("gpu_8x_h100_sxm5", "8x H100 (80 GB SXM5)", 2392, "us-south-1", storage=22528),
    kind("cpu_4x_general", "0x N/A", 20, "us-east-1"),
)


class Lambdalabs(Vendor):
    """Simulated Lambda.

    launching: seconds in which a new machine cannot be ended. quota: most machines. without_ip: seconds for which a machine is
    active and has no address. quiet: a machine that cannot be ended is left out of the answer, instead of an error.
    """

    name = "lambdalabs"
    gpu = "A10"
    spec = "lambda/openapi.json"
    every: ClassVar = {"": 1.0, "create": 12.0}
    overlays: ClassVar = {
        r"reply 403 of (create|end|keys)": "the specification knows keys with fewer rights (global/forbidden) only for reading",
        r"reply 400 of end": "ending twice was answered with global/unknown (SkyPilot, pull request 3410)",
        r"reply 400 of keys": "the code global/duplicate is specified, but for no call that says when",
    }

    def __init__(self) -> None:
        super().__init__()
        self.kinds = {entry["instance_type"]["name"]: entry for entry in KINDS}
        self.without_capacity: set[str] = set()
        self.keys: list[dict[str, str]] = [
            {"id": "k0", "name": "somebody's", "public_key": "ssh-ed25519 AAAAother x@y"}
        ]
        self.images = [("lambda-stack-24-04", region) for region in REGIONS] + [("ubuntu-lts", "us-west-1")]
        self.launching = 0.0
        self.without_ip = 0.0
        self.quota = 100
        self.quiet = False

    def error(self, status: int, code: str, message: str, suggestion: str = "Check it, then try again.") -> Reply:
        code = CODES.get(code, code)
        return Reply(status, {"error": {"code": code, "message": message, "suggestion": suggestion}})

    @route("GET", "/api/v1/instance-types", "offers")
    def types(self, request: Request) -> Reply:
        return Reply(200, {"data": self.kinds})

    @route("GET", "/api/v1/images", "images")
    def list_images(self, request: Request) -> Reply:
        return Reply(200, {"data": [
            {
                "id": f"{family}-in-{region}", "created_time": "2026-08-01T00:00:00Z", "updated_time": "2026-08-01T00:00:00Z",
                "name": family, "description": family, "family": family, "version": "1", "architecture": "x86_64",
                "region": {"name": region, "description": REGIONS[region]},
            }
            for family, region in self.images
        ]})  # fmt: skip

    @route("GET", "/api/v1/ssh-keys", "keys")
    def list_keys(self, request: Request) -> Reply:
        return Reply(200, {"data": self.keys})

    @route("POST", "/api/v1/ssh-keys", "keys")
    def add_key(self, request: Request) -> Reply:
        body: dict[str, str] = request.body
        if "public_key" not in body:
            self.mistakes.append("a key without its public half makes a new pair at the vendor")
        if any(key["name"] == body["name"] for key in self.keys):
            return self.error(400, "global/duplicate", f"An SSH key named {body['name']} exists already.")
        self.keys.append({"id": f"k{len(self.keys)}", **body})
        return Reply(200, {"data": self.keys[-1]})

    @route("POST", "/api/v1/instance-operations/launch", "create")
    def launch(self, request: Request) -> Reply:
        body: dict[str, Any] = request.body
        refused = self._invalid(body) or self._unavailable(body)
        if refused:
            return refused
        tags = {tag["key"]: tag["value"] for tag in body.get("tags", [])}
        parts = [tags.get(f"gpurig-{part}", "") for part in ("project", "stack", "host", "generation", "fingerprint")]
        made = self.rent(".".join(["gpurig", *parts]), body=body, name=body.get("name", ""), tags=body.get("tags", []))
        return Reply(200, {"data": {"instance_ids": [made.id]}})

    @route("GET", "/api/v1/instances", "list")
    def instances(self, request: Request) -> Reply:
        return Reply(200, {"data": [self._line(machine) for machine in self.shown()]})

    @route("GET", "/api/v1/instances/{number}", "show")
    def instance(self, request: Request, number: str) -> Reply:
        machine = self._machine(number)
        if machine is None:
            return self.error(404, MISSING, "Specified instance does not exist.")
        return Reply(200, {"data": self._line(machine)})

    @route("POST", "/api/v1/instance-operations/terminate", "end")
    def terminate(self, request: Request) -> Reply:
        ended = []
        for number in request.body["instance_ids"]:
            machine = self._machine(number)
            if machine is None:
                return self.error(404, MISSING, "Specified instance does not exist.")
            if machine.ended is not None:
                return self.error(400, "global/unknown", "An unknown error occurred.")
            if self._launches(machine):
                if not self.quiet:
                    return self.error(400, INVALID, "The instance cannot be terminated in its current state.")
                continue
            self.end(machine)
            ended.append(self._line(machine))
        return Reply(200, {"data": {"terminated_instances": ended}})

    def _invalid(self, body: dict[str, Any]) -> Reply | None:
        """What is wrong with a launch, whatever is free."""
        unknown = set(body) - LAUNCH_FIELDS
        tags = body.get("tags", [])
        if unknown or len(body["ssh_key_names"]) != 1:
            return self.error(400, INVALID, f"Invalid request data: {', '.join(unknown) or 'exactly one SSH key'}.")
        if len(body.get("name", "")) > 64 or len(body.get("user_data", "")) > USER_DATA_LIMIT:
            return self.error(400, INVALID, "Invalid request data.")
        if any(
            not re.fullmatch(r"[a-z][a-z0-9-:]+", t["key"]) or len(t["key"]) > 55 or len(t["value"]) > 128 for t in tags
        ):
            return self.error(400, INVALID, "Invalid request data: tags.")
        if body["ssh_key_names"][0] not in [key["name"] for key in self.keys]:
            return self.error(404, MISSING, "Specified SSH key does not exist.")
        if body["instance_type_name"] not in self.kinds or body["region_name"] not in REGIONS:
            return self.error(404, MISSING, "Specified instance type or region does not exist.")
        image = body.get("image")
        known = [{"family": family} for family, region in self.images if region == body["region_name"]]
        ids = [{"id": f"{family}-in-{region}"} for family, region in self.images if region == body["region_name"]]
        if image is not None and image not in known + ids:
            return self.error(404, MISSING, "Specified image does not exist.")
        return None

    def _unavailable(self, body: dict[str, Any]) -> Reply | None:
        """Why this launch cannot be had now."""
        if self.balance <= 0:
            suggestion = "Make sure you have verified your email address and have a valid payment method."
            return self.error(403, "global/account-inactive", "Your account is inactive.", suggestion)
        if len(self.living()) >= self.quota:
            return self.error(
                400, "global/quota-exceeded", "Quota exceeded.", "Contact Support to increase your quota."
            )
        offered = self.kinds[body["instance_type_name"]]["regions_with_capacity_available"]
        here = body["region_name"]
        if here in self.without_capacity or here not in [region["name"] for region in offered]:
            code = "instance-operations/launch/insufficient-capacity"
            return self.error(400, code, "Not enough capacity to fulfill launch request.")
        return None

    def _machine(self, number: str) -> Rented | None:
        found = self.machines.get(number)
        return found if found and clock.monotonic() < found.unlisted_from else None

    def _launches(self, machine: Rented) -> bool:
        return clock.monotonic() < machine.made + self.launching

    def _line(self, machine: Rented) -> dict[str, Any]:
        body = machine.facts["body"]
        status = machine.state if machine.state != "running" else "active" if self.runs(machine) else "booting"
        if machine.ended is not None:
            status = machine.state if machine.state == "terminated" else "terminating"
        has_ip = status == "active" and clock.monotonic() >= machine.made + self.boots + self.without_ip
        wait = {"reason_code": "vm-has-not-launched", "reason_description": "The VM has not launched yet."}
        possible = {"available": False, **wait} if self._launches(machine) else {"available": True}
        region = body["region_name"]
        return {
            "id": machine.id, "name": machine.facts["name"], "status": status, "ssh_key_names": body["ssh_key_names"],
            "file_system_names": [], "region": {"name": region, "description": REGIONS[region]},
            "instance_type": self.kinds[body["instance_type_name"]]["instance_type"], "tags": machine.facts["tags"],
            "actions": dict.fromkeys(["migrate", "rebuild", "restart", "cold_reboot", "terminate"], possible),
            **({"ip": self.endpoint(machine)[0], "hostname": f"h{machine.id}"} if has_ip else {}),
        }  # fmt: skip
