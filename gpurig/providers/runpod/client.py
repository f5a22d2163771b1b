"""RunPod's REST interface, version 2: calls and nothing else. Documented at https://docs.runpod.io/api-reference-v2/overview."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpurig.providers import DoubtError
from gpurig.providers.api import Api, Vendor

VENDOR = Vendor(
    name="runpod",
    url="https://api.runpod.io",
    key="RUNPOD_API_KEY",
    where="https://console.runpod.io/user/settings",
    words=lambda body: "; ".join([body["detail"], *body.get("errors", [])]),
)

EVERY = {"": 1.2}
"""Seconds between two calls: 60 a minute and 3,000 an hour are allowed (RateLimit-Policy of every reply)."""


class Client:
    """Every path begins with /v2."""

    def __init__(self) -> None:
        self._api = Api(VENDOR, EVERY)

    async def gpus(self, *, cloud: str, count: int, cuda: str) -> list[dict[str, Any]]:
        """Models of GPU with their price and what is free of them. cloud: SECURE or COMMUNITY; cuda: least version."""
        query = {"include": "AVAILABILITY", "product": "POD", "cloud": cloud, "count": count, "minCudaVersion": cuda}
        answer = await self._api.ask("/v2/catalog/gpus", kind="offers", params=query)
        found: list[dict[str, Any]] = answer["gpus"]
        return found

    async def volumes(self) -> list[dict[str, Any]]:
        """The account's network volumes."""
        answer = await self._api.ask("/v2/network-volumes")
        found: list[dict[str, Any]] = answer["networkVolumes"]
        return found

    def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Rent a pod; the reply is the pod."""
        made: dict[str, Any] | None = self._api.write("POST", "/v2/pods", kind="create", json=dict(body))
        return made or {}

    def pods(self) -> Iterator[dict[str, Any]]:
        """Every pod of the account, page by page. Raises DoubtError where a page is not understood.

        The published specification has no pages; replies carry `pagination` with `nextCursor` nevertheless.
        """
        cursor: str | None = None
        while True:
            page = self._api.read("/v2/pods", kind="list", params={"cursor": cursor} if cursor else {})
            pods = page.get("pods") if isinstance(page, dict) else None
            if not isinstance(pods, list):
                raise DoubtError("runpod: its list of pods was not understood.")
            yield from pods
            pages = page.get("pagination") or {}
            following = pages.get("nextCursor")
            if not pages.get("hasNextPage", bool(following)):
                return
            if not following or following == cursor:
                raise DoubtError("runpod: its list of pods goes on, and it does not say where.")
            cursor = following

    def pod(self, pod: str) -> dict[str, Any]:
        """One pod."""
        found: dict[str, Any] = self._api.read(f"/v2/pods/{pod}", kind="show")
        return found

    def act(self, pod: str, action: str) -> None:
        """`start` or `stop` a pod."""
        self._api.write("POST", f"/v2/pods/{pod}/action", json={"action": action})

    def destroy(self, pod: str) -> None:
        """End a pod and lose its disks; a network volume stays."""
        self._api.write("DELETE", f"/v2/pods/{pod}", kind="end")
