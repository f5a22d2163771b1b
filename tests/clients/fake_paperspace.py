"""Paperspace, simulated, as of 2026-08.

The vendor publishes no OpenAPI file. What is checked here follows the types in its own command line tool (Paperspace/cli, api/openapi.ts)
and docs.digitalocean.com/reference/paperspace/api-reference. The descriptions under paperspace/ of the specifications are not the
vendor's and partly wrong (201 for 200, lists without pages, `false` for the state "off", `runOnce`), so nothing is validated
against them. The words of refusals are invented, except for capacity.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from gpurig import clock
from tests.clients.fake import Rented, Reply, Request, Vendor, route

STOPS, STARTS = 20.0, 30.0
"""Seconds that a machine is `stopping` and `starting`."""

TEXT, FLAG, NUMBER = {"type": "string", "minLength": 1}, {"type": "boolean"}, {"type": "number"}
MAYBE = {"type": ["string", "null"]}

NEW_MACHINE = {
    "name": TEXT, "machineType": TEXT, "templateId": TEXT, "region": {"enum": ["ny2", "ca1", "ams1"]}, "networkId": TEXT,
    "diskSize": {"enum": [50, 100, 250, 500, 1000, 2000]}, "publicIpType": {"enum": ["static", "dynamic", "none"]},
    "startupScriptId": TEXT, "accessorIds": {"type": "array", "items": TEXT}, "autoShutdownTimeout": NUMBER,
    "autoSnapshotFrequency": {"enum": ["hourly", "daily", "weekly", "monthly"]}, "autoSnapshotSaveCount": NUMBER,
    "autoShutdownEnabled": FLAG, "autoShutdownForce": FLAG, "autoSnapshotEnabled": FLAG, "emailPassword": FLAG,
    "enableNvlink": FLAG, "restorePointEnabled": FLAG, "startOnCreate": FLAG, "takeInitialSnapshot": FLAG,
}  # fmt: skip

MACHINE = {
    "id": TEXT, "name": TEXT, "machineType": TEXT, "os": TEXT, "region": TEXT, "dtCreated": TEXT, "dtDeleted": MAYBE,
    "state": {
        "enum": ["off", "starting", "stopping", "restarting", "serviceready", "ready", "upgrading", "provisioning", "failed"]
    },
    "publicIp": MAYBE, "privateIp": MAYBE, "publicIpType": {"enum": ["static", "dynamic", "none"]}, "cpus": NUMBER,
    "ram": NUMBER, "storageTotal": NUMBER, "storageUsed": NUMBER, "storageRate": NUMBER, "usageRate": NUMBER,
    "agentType": TEXT, "autoShutdownEnabled": FLAG, "autoSnapshotEnabled": FLAG, "networkId": MAYBE,
}  # fmt: skip


def _exactly(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object", "properties": properties, "required": list(required or properties), "additionalProperties": False,
    }  # fmt: skip


def _page(item: dict[str, Any]) -> dict[str, Any]:
    items = {"type": "array", "items": item}
    return _exactly({"items": items, "hasMore": FLAG, "nextPage": MAYBE}, "items", "hasMore")


SCHEMAS = {
    "request of create": _exactly(NEW_MACHINE, "name", "machineType", "templateId", "region", "diskSize"),
    "request of script": _exactly({"name": TEXT, "script": TEXT, "isRunOnce": FLAG}, "name", "script"),
    "reply 200 of create": _exactly({"data": _exactly(MACHINE), "event": {"type": "object"}}),
    "reply 200 of list": _page(_exactly(MACHINE)),
    "reply 200 of show": _exactly(MACHINE),
}
"""What bodies look like, by what they are."""

TYPES = {"A4000": 0.76, "A4000x2": 1.52, "A5000": 1.38, "H100": 5.95, "C5": 0.08}
"""Machine types that are there, with USD per hour."""


def template(
    identifier: str, name: str, size: int | None = 50, types: tuple[str, ...] = tuple(TYPES)
) -> dict[str, Any]:
    """One template of disks, as the vendor lists it."""
    return {
        "id": identifier, "name": name, "agentType": "LinuxHeadless", "operatingSystemLabel": name, "defaultSizeGb": size,
        "dtCreated": f"2026-0{1 + len(name) % 9}-01T00:00:00.000Z",
        "availableMachineTypes": [{"machineTypeLabel": label, "isAvailable": True} for label in types],
    }  # fmt: skip


class Paperspace(Vendor):
    """Simulated Paperspace. rates: USD per hour of a type; full: types and regions without a free machine; page: items in an answer.

    deletes_in: states in which a machine can be deleted; the vendor's guide wants it off, other programs delete as it is.
    """

    name = "paperspace"
    gpu = "RTX A4000"

    def __init__(self) -> None:
        super().__init__()
        self.rates = dict(TYPES)
        self.full: set[tuple[str, str]] = set()
        self.page = 120
        self.deletes_in = ("off", "failed")
        self.templates = [template("tkni3aa4", "Ubuntu 20.04"), template("t0nspur5", "Ubuntu 22.04 Server")]
        self.scripts: dict[str, dict[str, Any]] = {}
        self.texts: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []

    def error(self, status: int, code: str, message: str) -> Reply:
        return Reply(status, {"code": code, "message": message})

    @route("GET", "/v1/os-templates", "offers")
    def os_templates(self, request: Request) -> Reply:
        return self._paged(request, self.templates)

    @route("GET", "/v1/machine-availability", "offers")
    def availability(self, request: Request) -> Reply:
        wanted = (request.query["machineType"], request.query["region"])
        if wanted[0] not in self.rates or wanted[1] not in ("ny2", "ca1", "ams1"):
            return self.error(400, "bad_request", "Invalid machine type or region.")
        return Reply(200, {"available": wanted not in self.full})

    @route("POST", "/v1/machines", "create")
    def create(self, request: Request) -> Reply:
        body: dict[str, Any] = request.body
        if self.balance <= 0:
            return self.error(402, "payment_required", "Your team has an outstanding balance.")
        if (body["machineType"], body["region"]) in self.full:
            return self.error(400, "bad_request", "We are out of capacity for the selected VM type in this region.")
        if body["templateId"] not in [line["id"] for line in self.templates]:
            return self.error(404, "not_found", f"Template {body['templateId']} not found.")
        script = body.get("startupScriptId")
        if script and script not in self.scripts:
            return self.error(404, "not_found", f"Startup script {script} not found.")
        made = self.rent(body["name"], body=body, changed=clock.monotonic() - STARTS)
        if script:
            self.scripts[script]["assignedMachineIds"].append(made.id)
        event = {"id": f"e{made.id}", "name": "create", "state": "new", "machineId": made.id, "error": None}
        return Reply(200, {"data": self._line(made), "event": event})

    @route("GET", "/v1/machines", "list")
    def machines_listed(self, request: Request) -> Reply:
        return self._paged(request, [self._line(machine) for machine in self.shown()])

    @route("GET", "/v1/machines/{number}", "show")
    def show(self, request: Request, number: str) -> Reply:
        machine = self._machine(number)
        return Reply(200, self._line(machine)) if machine else self._no_machine(number)

    @route("PATCH", "/v1/machines/{number}/stop", "write")
    def stop(self, request: Request, number: str) -> Reply:
        return self._switched(number, "off", ("ready", "serviceready"))

    @route("PATCH", "/v1/machines/{number}/start", "write")
    def start(self, request: Request, number: str) -> Reply:
        return self._switched(number, "running", ("off",))

    @route("DELETE", "/v1/machines/{number}", "end")
    def delete(self, request: Request, number: str) -> Reply:
        machine = self._machine(number)
        if machine is None:
            return self._no_machine(number)
        if self._state(machine) not in self.deletes_in:
            return self.error(400, "bad_request", f"This machine is currently {self._state(machine)}; it must be off.")
        line = self._line(machine)
        self.end(machine)
        self.events.append(
            {"id": f"d{number}", "name": "deactivate", "machineId": number, "error": None, "dtCreated": "2026-11-22"}
        )
        return Reply(200, {"data": line, "event": self.events[-1]})

    @route("GET", "/v1/machine-events", "user")
    def machine_events(self, request: Request) -> Reply:
        return self._paged(request, [e for e in self.events if e["machineId"] == request.query["machineId"]])

    @route("GET", "/v1/startup-scripts", "keys")
    def scripts_listed(self, request: Request) -> Reply:
        return self._paged(request, list(self.scripts.values()))

    @route("POST", "/v1/startup-scripts", "script")
    def add_script(self, request: Request) -> Reply:
        return Reply(200, self.put_script(request.body["name"], request.body["script"]))

    @route("DELETE", "/v1/startup-scripts/{number}", "write")
    def delete_script(self, request: Request, number: str) -> Reply:
        if number not in self.scripts:
            return self.error(404, "not_found", f"Startup script {number} not found.")
        return Reply(200, self.scripts.pop(number))

    def put_script(self, name: str, text: str) -> dict[str, Any]:
        """Add a start-up script; names need not differ."""
        self._numbers += 1
        line: dict[str, Any] = {
            "id": f"ss{self._numbers}", "name": name, "description": None, "isEnabled": True, "isRunOnce": True,
            "assignedMachineIds": [], "dtCreated": "2026-11-22T00:00:00.000Z", "dtDeleted": None,
        }  # fmt: skip
        self.scripts[line["id"]] = line
        self.texts[name] = text
        return line

    def _switched(self, number: str, state: str, allowed: tuple[str, ...]) -> Reply:
        machine = self._machine(number)
        if machine is None:
            return self._no_machine(number)
        if self._state(machine) not in allowed:
            return self.error(400, "bad_request", f"This machine is currently {self._state(machine)}.")
        machine.state, machine.facts["changed"] = state, clock.monotonic()
        return Reply(200, {"data": self._line(machine), "event": {"id": f"s{number}", "name": state}})

    def _machine(self, number: str) -> Rented | None:
        found = self.machines.get(number)
        return found if found and found.ended is None else None

    def _no_machine(self, number: str) -> Reply:
        return self.error(404, "not_found", f"Machine {number} not found.")

    def _state(self, machine: Rented) -> str:
        since = clock.monotonic() - machine.facts["changed"]
        if machine.state == "off":
            return "stopping" if since < STOPS else "off"
        if machine.state != "running":
            return machine.state
        if clock.monotonic() < machine.made + self.boots:
            return "provisioning"
        return "starting" if since < STARTS else "ready"

    def _line(self, machine: Rented) -> dict[str, Any]:
        body, state = machine.facts["body"], self._state(machine)
        names = {"ny2": "East Coast (NY2)", "ca1": "West Coast (CA1)", "ams1": "Europe (AMS1)"}
        return {
            "id": machine.id, "name": machine.mark, "state": state, "machineType": body["machineType"], "os": "Ubuntu 22.04",
            "region": names[body["region"]], "publicIp": self.endpoint(machine)[0] if state == "ready" else None,
            "publicIpType": body.get("publicIpType", "none"), "privateIp": "10.64.36.15", "cpus": 8, "ram": 48_318_382_080,
            "storageTotal": body["diskSize"] * 1_000_000_000, "storageUsed": 0, "storageRate": 5.0,
            "usageRate": self.rates[body["machineType"]], "agentType": "LinuxHeadless", "networkId": None,
            "autoShutdownEnabled": body.get("autoShutdownEnabled", False), "dtDeleted": None,
            "autoSnapshotEnabled": body.get("autoSnapshotEnabled", False), "dtCreated": "2026-11-22T08:00:00.000Z",
        }  # fmt: skip

    def _paged(self, request: Request, lines: list[dict[str, Any]]) -> Reply:
        limit = int(request.query.get("limit", "20"))
        if not 1 <= limit <= 120:
            return self.error(400, "bad_request", "limit must be between 1 and 120.")
        first = int(request.query.get("after", "0"))
        last = first + min(limit, self.page)
        more = last < len(lines)
        return Reply(200, {"items": lines[first:last], "hasMore": more, **({"nextPage": str(last)} if more else {})})

    def _check(self, what: str, body: Any, where: list[str]) -> None:
        """Against the vendor's types, since there is no specification."""
        schema = SCHEMAS.get(what)
        for problem in Draft202012Validator(schema).iter_errors(body) if schema else ():
            self.mistakes.append(f"{what}: {problem.json_path}: {problem.message[:300]}")
