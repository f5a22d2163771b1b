"""Paperspace's REST interface: calls and nothing else. Documented at https://docs.digitalocean.com/reference/paperspace/api-reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpurig.providers.api import Api, Vendor, VendorRefusedError

VENDOR = Vendor(
    name="paperspace",
    url="https://api.paperspace.com",
    key="PAPERSPACE_API_KEY",
    where="https://console.paperspace.com/settings/apikeys",
    words=lambda body: str(body["message"]),
)

EVERY = {"": 0.1, "list": 1.0, "create": 2.0}
"""Seconds between two calls of a kind. The vendor names no limit; these are ours."""

GONE = 404

UNKNOWN = (400, 404, 422)

PAGE = 120
"""Items in one answer; the vendor's limit."""


class Client:
    """Calls to Paperspace."""

    def __init__(self) -> None:
        self._api = Api(VENDOR, EVERY)

    async def templates(self) -> list[dict[str, Any]]:
        """The vendor's own templates of disks, each with the machine types that it is there for."""
        found: list[dict[str, Any]] = []
        after: dict[str, Any] = {}
        while True:
            page = await self._api.ask("/v1/os-templates", kind="offers", params={"limit": PAGE, **after})
            found += page["items"]
            if not page["hasMore"]:
                return found
            after = {"after": page["nextPage"]}

    async def available(self, machine_type: str, region: str) -> bool:
        """Whether a machine of this type is free in a region now. A type or region that the vendor does not know is not."""
        query = {"machineType": machine_type, "region": region}
        try:
            answer = await self._api.ask("/v1/machine-availability", kind="available", params=query)
        except VendorRefusedError as error:
            if error.status in UNKNOWN:
                return False
            raise
        return bool(answer["available"])

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Make a machine; its line is `data` of the answer."""
        made: dict[str, Any] = self._api.write("POST", "/v1/machines", kind="create", json=dict(body))["data"]
        return made

    def machines(self) -> Iterator[dict[str, Any]]:
        """Every machine of the account, page by page."""
        return self._pages("/v1/machines", "list")

    def machine(self, machine: str) -> dict[str, Any] | None:
        """One machine as it is now; None where it is gone."""
        try:
            found: dict[str, Any] = self._api.read(f"/v1/machines/{machine}", kind="show")
        except VendorRefusedError as error:
            if error.status == GONE:
                return None
            raise
        return found

    def start(self, machine: str) -> None:
        """Switch a machine on."""
        self._api.write("PATCH", f"/v1/machines/{machine}/start")

    def stop(self, machine: str) -> None:
        """Shut a machine down; it is `stopping`, then `off`."""
        self._api.write("PATCH", f"/v1/machines/{machine}/stop")

    def delete(self, machine: str) -> None:
        """End a machine that is off, and lose its disk."""
        self._api.write("DELETE", f"/v1/machines/{machine}", kind="end")

    def events(self, machine: str) -> list[dict[str, Any]]:
        """What happened to a machine, newest first; one page."""
        query = {"machineId": machine, "orderBy": "dtCreated", "order": "desc", "limit": PAGE}
        found: list[dict[str, Any]] = self._api.read("/v1/machine-events", params=query)["items"]
        return found

    def scripts(self) -> Iterator[dict[str, Any]]:
        """Every start-up script of the account, ours and others'."""
        return self._pages("/v1/startup-scripts", "keys")

    def add_script(self, name: str, text: str) -> str:
        """Put a start-up script there that runs once, when a machine first starts. Returns its id."""
        body = {"name": name, "script": text, "isRunOnce": True}
        return str(self._api.write("POST", "/v1/startup-scripts", json=body)["id"])

    def delete_script(self, script: str) -> None:
        """Remove a start-up script."""
        self._api.write("DELETE", f"/v1/startup-scripts/{script}")

    def _pages(self, path: str, kind: str) -> Iterator[dict[str, Any]]:
        after: dict[str, Any] = {}
        while True:
            page = self._api.read(path, kind=kind, params={"limit": PAGE, **after})
            yield from page["items"]
            if not page["hasMore"]:
                return
            after = {"after": page["nextPage"]}
