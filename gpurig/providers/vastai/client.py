"""Vast.ai's REST interface: calls and nothing else. Documented at https://docs.vast.ai/api-reference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from gpurig.providers.api import Api, Vendor

VENDOR = Vendor(
    name="vastai",
    url="https://console.vast.ai",
    key="VAST_API_KEY",
    where="https://cloud.vast.ai/manage-keys/",
    words=lambda body: str(body.get("msg") or body.get("message") or body.get("detail") or body["error"]),
)

EVERY = {
    "": 0.25,
    "read": 1.0,
    "offers": 6.0,
    "create": 4.5,
    "end": 3.0,
    "write": 1.0,
    "bid": 5.5,
    "user": 5.0,
}
"""Seconds between two calls of a kind: the vendor's limits (x-rate-limit of its specification)."""

PAGE = 25
"""Instances in one answer; the vendor's limit."""

SEARCHED = 200
"""Offers in one answer, cheapest first."""


class Client:
    """Every path ends with a slash: without it the vendor redirects, and a redirected PUT is lost."""

    def __init__(self) -> None:
        self._api = Api(VENDOR, EVERY)

    async def offers(self, filters: Mapping[str, Any], *, interruptible: bool, disk: float) -> list[dict[str, Any]]:
        """Offers, cheapest first. filters: field → {operator: value}; disk: GB, enters the price that sorts."""
        body = {
            **filters,
            "type": "bid" if interruptible else "ondemand",
            "order": [["dph_total", "asc"]],
            "limit": SEARCHED,
            "allocated_storage": disk,
        }
        answer = await self._api.ask("/api/v0/bundles/", method="POST", kind="offers", json=body)
        found: list[dict[str, Any]] | dict[str, Any] = answer["offers"]
        return [found] if isinstance(found, dict) else found

    def create(self, offer: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Rent an offer. The machine's id is `new_contract` of the answer."""
        made: dict[str, Any] = self._api.write("PUT", f"/api/v0/asks/{offer}/", kind="create", json=dict(body))
        return made

    def instances(self) -> Iterator[dict[str, Any]]:
        """Every instance of the account, page by page."""
        token: str | None = None
        while True:
            query: dict[str, Any] = {"limit": PAGE, "order_by": json.dumps([{"col": "id", "dir": "asc"}])}
            page = self._api.read("/api/v1/instances/", params=query | ({"after_token": token} if token else {}))
            yield from page["instances"]
            token = page.get("next_token")
            if not token:
                return

    def set_state(self, instance: str, state: str) -> None:
        """Start (`running`) or stop (`stopped`) an instance."""
        self._api.write("PUT", f"/api/v0/instances/{instance}/", json={"state": state})

    def destroy(self, instance: str) -> None:
        """End an instance and lose its disk."""
        self._api.write("DELETE", f"/api/v0/instances/{instance}/", kind="end")

    def user(self) -> dict[str, Any]:
        """The account; `credit` and `balance` in USD."""
        found: dict[str, Any] = self._api.read("/api/v0/users/current/", kind="user")
        return found
