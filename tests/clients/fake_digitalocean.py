"""DigitalOcean, simulated: https://docs.digitalocean.com/reference/api as of 2026-08."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from gpurig import clock
from tests.clients.fake import Rented, Reply, Request, Vendor, route

HOUR = 3600.0
INVALID = "unprocessable_entity"
MISSING = Reply(404, {"id": "not_found", "message": "The resource you were accessing could not be found."})

CREATE_FIELDS = {
    "name", "region", "size", "image", "ssh_keys", "backups", "backup_policy", "ipv6", "monitoring", "tags", "user_data", "volumes",
    "vpc_uuid", "with_droplet_agent", "public_networking",
}  # fmt: skip

IMAGES = ("gpu-h100x1-base", "gpu-h100x8-base", "gpu-amd-base", "ubuntu-24-04-x64", 220378284)

HOST_NAME = re.compile(r"[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]")
TAG = re.compile(r"[A-Za-z0-9:_-]{1,255}")


def size(
    slug: str, model: str, gpus: int, vram: int, price: float, regions: Sequence[str], **others: Any
) -> dict[str, Any]:
    """A type of machine, as the list of sizes has it. vram: GB of all its GPUs together."""
    return {
        "slug": slug, "memory": 245760, "vcpus": 20, "disk": 720, "transfer": 15.0, "price_monthly": price * 730,
        "price_hourly": price, "regions": list(regions), "available": True, "description": slug,
        "disk_info": [{"type": "local", "size": {"amount": 720, "unit": "gib"}}],
        **({"gpu_info": {"count": gpus, "vram": {"amount": vram, "unit": "gib"}, "model": model}} if gpus else {}),
        **others,
    }  # fmt: skip


SIZES = (
    size("s-1vcpu-1gb", "", 0, 0, 0.00892999954521656, ("nyc1", "fra1")),
    size("gpu-4000adax1-20gb", "nvidia_rtx4000_ada", 1, 20, 0.7599999904632568, ("tor1",)),
    size("gpu-l40sx1-48gb", "nvidia_l40s", 1, 48, 1.57, ()),
    size("gpu-h100x1-80gb", "nvidia_h100", 1, 80, 3.39, ("nyc2", "tor1", "ams3", "sfo3")),
    size("gpu-h100x8-640gb", "nvidia_h100", 8, 640, 23.92, ("nyc2",)),
    size("gpu-h200x1-141gb", "nvidia_h200", 1, 141, 3.44, ("nyc2",), available=False),
    size("gpu-mi300x1-192gb", "amd_mi300x", 1, 192, 1.99, ("nyc2",)),
)


class Digitalocean(Vendor):
    """Simulated DigitalOcean.

    page: most entries in one answer, whatever is asked for. between_pages: called before a second page of droplets is given.
    limit: most droplets. tags_late: seconds until a new droplet has its tags. fails_to_create: such droplets stay new.
    knows_tag: whether listing by a tag that nobody has used is answered with nothing, or with 404.
    hourly: calls that are allowed in any hour; enforced where strict_pace.
    """

    name = "digitalocean"
    gpu = "H100"
    spec = "digitalocean/openapi-droplets-subset.json"
    every: ClassVar = {"": 60 / 250}
    overlays: ClassVar = {
        r"reply 200 of list.*droplets\[\d+\]\.status$": "the state `off` became false in the specification, which is made from YAML",
    }

    def __init__(self) -> None:
        super().__init__()
        self.sizes = {entry["slug"]: entry for entry in SIZES}
        self.without_capacity: set[str] = set()
        self.keys: list[dict[str, Any]] = [_key(1, "somebody's", "ssh-ed25519 AAAAother x@y")]
        self.page = 200
        self.between_pages: Callable[[], object] = lambda: None
        self.limit = 100
        self.tags_late = 0.0
        self.fails_to_create = False
        self.knows_tag = True
        self.hourly = 5000
        self._counted: list[float] = []

    def error(self, status: int, code: str, message: str) -> Reply:
        return Reply(status, {"id": code, "message": message, "request_id": "4d9d8375"})

    def answer(self, request: Request) -> Reply:
        with self.lock:
            reply = super().answer(request)
            oldest = self._counted[0] if self._counted else clock.monotonic()
            reset = clock.now().timestamp() + oldest + HOUR - clock.monotonic()
            left = max(0, self.hourly - len(self._counted))
            told = {"limit": self.hourly, "remaining": left, "reset": math.ceil(reset)}
            reply.headers |= {f"ratelimit-{name}": str(value) for name, value in told.items()}
            return reply

    def _refused(self, request: Request, kind: str) -> Reply | None:
        refused = super()._refused(request, kind)
        now = clock.monotonic()
        self._counted = [at for at in self._counted if at > now - HOUR]
        if refused is None and self.strict_pace and len(self._counted) >= self.hourly:
            refused = self.too_many(kind)
        self._counted += [] if refused else [now]
        return refused

    def too_many(self, kind: str) -> Reply:
        return self.error(429, "too_many_requests", "API rate limit exceeded.")

    @route("GET", "/v2/sizes", "offers")
    def list_sizes(self, request: Request) -> Reply:
        return self._paged(request, "sizes", list(self.sizes.values()))

    @route("GET", "/v2/account/keys", "keys")
    def list_keys(self, request: Request) -> Reply:
        return self._paged(request, "ssh_keys", self.keys)

    @route("POST", "/v2/account/keys", "keys")
    def add_key(self, request: Request) -> Reply:
        made = _key(len(self.keys) + 1, request.body["name"], request.body["public_key"])
        if any(key["fingerprint"] == made["fingerprint"] for key in self.keys):
            return self.error(422, INVALID, "SSH Key is already in use on your account")
        self.keys.append(made)
        return Reply(201, {"ssh_key": made})

    @route("POST", "/v2/droplets", "create")
    def create(self, request: Request) -> Reply:
        body: dict[str, Any] = request.body
        refused = self._invalid(body) or self._unavailable(body)
        if refused:
            return refused
        tags = body.get("tags") or []
        if not all(TAG.fullmatch(tag) for tag in tags):
            self.mistakes.append(f"a tag that is not allowed takes all the others with it: {tags}")
            tags = []
        mark = next((tag for tag in tags if tag.startswith("gpurig:")), "").replace(":", ".")
        made = self.rent(mark, body=body, tags=[self._canonical(tag) for tag in tags])
        number = _action(made, "create", "in-progress")["id"]
        link = {"id": number, "rel": "create", "href": f"https://api.digitalocean.com/v2/actions/{number}"}
        return Reply(202, {"droplet": self._line(made), "links": {"actions": [link]}})

    @route("GET", "/v2/droplets", "list")
    def droplets(self, request: Request) -> Reply:
        wanted, kind = request.query.get("tag_name"), request.query.get("type", "droplets")
        if wanted and ("type" in request.query or "name" in request.query):
            return self.error(422, INVALID, "tag_name can not be combined with name or type.")
        if wanted and not self.knows_tag and not any(wanted in m.facts["tags"] for m in self.machines.values()):
            return MISSING
        lines = [self._line(machine) for machine in self.shown()]
        shown = [o for o in lines if (wanted in o["tags"] if wanted else ("gpu_info" in o["size"]) == (kind == "gpus"))]
        if int(request.query.get("page", "1")) > 1:
            self.between_pages()
        return self._paged(request, "droplets", shown)

    @route("DELETE", "/v2/droplets/{number}", "end")
    def delete(self, request: Request, number: str) -> Reply:
        machine = self._machine(number)
        if machine is None:
            return MISSING
        self.end(machine)
        return Reply(204)

    @route("GET", "/v2/droplets/{number}/actions", "show")
    def actions(self, request: Request, number: str) -> Reply:
        machine = self._machine(number)
        if machine is None:
            return MISSING
        status = "errored" if self.fails_to_create else "completed" if self.runs(machine) else "in-progress"
        return self._paged(request, "actions", [_action(machine, "create", status)])

    @route("POST", "/v2/droplets/{number}/actions", "write")
    def act(self, request: Request, number: str) -> Reply:
        machine = self._machine(number)
        if machine is None:
            return MISSING
        if request.body["type"] != "power_on":
            self.mistakes.append(f"nothing is saved by {request.body['type']}")
        if machine.state != "off":
            return self.error(422, INVALID, "Droplet already has a pending event.")
        machine.state = "running"
        return Reply(201, {"action": _action(machine, "power_on", "in-progress")})

    @route("GET", "/v2/customers/my/balance", "user")
    def balance_of_account(self, request: Request) -> Reply:
        owed = dict.fromkeys(("month_to_date_balance", "account_balance"), f"{-self.balance:.2f}")
        return Reply(200, {**owed, "month_to_date_usage": "0.00", "generated_at": "2026-11-22T00:00:00Z"})

    def _invalid(self, body: dict[str, Any]) -> Reply | None:
        """What is wrong with a droplet that is asked for, whatever is free."""
        unknown = sorted(set(body) - CREATE_FIELDS)
        if unknown:
            self.mistakes.append(f"fields that the vendor does not know: {unknown}")
        if not HOST_NAME.fullmatch(body["name"]) or any(len(part) > 63 for part in body["name"].split(".")):
            return self.error(422, INVALID, "Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
        if body["size"] not in self.sizes:
            return self.error(422, INVALID, "You specified an invalid size for Droplet creation.")
        if body["image"] not in IMAGES:
            return self.error(422, INVALID, "You specified an invalid image for Droplet creation.")
        if len(body.get("user_data", "").encode()) > 64 * 1024:
            return self.error(422, INVALID, "User data is too long (maximum is 65536 bytes).")
        known = {str(key[name]) for key in self.keys for name in ("id", "fingerprint")}
        if not {str(key) for key in body.get("ssh_keys", [])} <= known:
            return self.error(422, INVALID, f"{body['ssh_keys']} are invalid key identifiers for Droplet creation.")
        return None

    def _unavailable(self, body: dict[str, Any]) -> Reply | None:
        """Why this droplet cannot be had now."""
        wanted = self.sizes[body["size"]]
        if self.balance <= 0:
            return self.error(403, "forbidden", "Your account is locked because of an unpaid balance.")
        if len(self.living()) >= self.limit:
            return self.error(422, INVALID, "creating this/these droplet(s) will exceed your droplet limit")
        if not wanted["available"] or body["region"] not in set(wanted["regions"]) - self.without_capacity:
            return self.error(422, INVALID, "Size is not available in this region.")
        return None

    def _canonical(self, tag: str) -> str:
        """A tag in the case in which it was first used."""
        used = [used for machine in self.machines.values() for used in machine.facts["tags"]]
        return next((one for one in used if one.lower() == tag.lower()), tag)

    def _paged(self, request: Request, name: str, entries: list[dict[str, Any]]) -> Reply:
        unknown = set(request.query) - {"page", "per_page", "tag_name", "name", "type"}
        asked = int(request.query.get("per_page", "20"))
        if unknown or not 1 <= asked <= 200:
            self.mistakes.append(f"query of {name}: {request.query}")
        number, length = int(request.query.get("page", "1")), min(asked, self.page)
        more = number * length < len(entries)
        following = f"https://api.digitalocean.com{request.path}?page={number + 1}&per_page={asked}"
        return Reply(200, {
            name: entries[(number - 1) * length : number * length],
            "links": {"pages": {"next": following, "last": following}} if more else {},
            "meta": {"total": len(entries)},
        })  # fmt: skip

    def _machine(self, number: str) -> Rented | None:
        found = self.machines.get(number)
        return found if found and found.ended is None else None

    def _line(self, machine: Rented) -> dict[str, Any]:
        body = machine.facts["body"]
        wanted = self.sizes[body["size"]]
        new = self.fails_to_create or not self.runs(machine)
        status = machine.state if machine.state != "running" else "new" if new else "active"
        address, mask = self.endpoint(machine)[0], "255.255.240.0"
        public = {"ip_address": address, "netmask": mask, "gateway": "10.0.0.1", "type": "public"}
        private = {"ip_address": "10.118.0.2", "netmask": mask, "type": "private"}
        region = {"name": body["region"], "slug": body["region"], "features": [], "available": True, "sizes": []}
        return {
            "id": int(machine.id), "name": body["name"], "memory": wanted["memory"], "vcpus": wanted["vcpus"],
            "disk": wanted["disk"], "locked": status == "new", "status": status, "created_at": _time(machine.made),
            "features": [], "backup_ids": [], "next_backup_window": None, "snapshot_ids": [], "volume_ids": [],
            "image": {"id": 1, "slug": str(body["image"])}, "size": wanted, "size_slug": wanted["slug"], "region": region,
            "networks": {"v4": [private, *([public] if status != "new" else [])], "v6": []},
            "tags": machine.facts["tags"] if clock.monotonic() >= machine.made + self.tags_late else [],
        }  # fmt: skip


def _key(number: int, name: str, public_key: str) -> dict[str, Any]:
    digest = hashlib.md5(public_key.split()[1].encode(), usedforsecurity=False).hexdigest()
    fingerprint = ":".join(digest[place : place + 2] for place in range(0, 32, 2))
    return {"id": number, "fingerprint": fingerprint, "public_key": public_key, "name": name}


def _action(machine: Rented, kind: str, status: str) -> dict[str, Any]:
    return {
        "id": int(machine.id) + 70000, "status": status, "type": kind, "started_at": _time(machine.made), "completed_at": None,
        "resource_id": int(machine.id), "resource_type": "droplet", "region_slug": machine.facts["body"]["region"],
    }  # fmt: skip


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds % 3e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
