"""Lambda's REST interface: calls and nothing else. Its specification is https://cloud.lambda.ai/api/v1/openapi.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpurig.providers import DoubtError
from gpurig.providers.api import Api, Vendor, VendorDoubtError, VendorRefusedError


def _words(body: Any) -> str:
    error = body["error"]
    return f"{error['message']} {error.get('suggestion') or ''} ({error['code']})"


VENDOR = Vendor(
    name="lambdalabs",
    url="https://cloud.lambda.ai",
    key="LAMBDA_API_KEY",
    where="https://cloud.lambda.ai/api-keys",
    words=_words,
)

EVERY = {"": 1.25, "create": 12.5}
"""Seconds between two calls of a kind. The vendor's limits are 1 and 12; the rest is for answers that are under way."""


class Client:
    """Lambda pages no list. What a call answers is in `data`."""

    def __init__(self) -> None:
        self._api = Api(VENDOR, EVERY)

    async def types(self) -> list[dict[str, Any]]:
        """Every type of machine: `instance_type`, and `regions_with_capacity_available`, which may be none."""
        found: dict[str, dict[str, Any]] = _data(await self._api.ask("/api/v1/instance-types"))
        return list(found.values())

    def images(self) -> list[dict[str, Any]]:
        """Every image, once for each region that has it."""
        found: list[dict[str, Any]] = _data(self._api.read("/api/v1/images"))
        return found

    def keys(self) -> list[dict[str, Any]]:
        """The account's SSH keys."""
        found: list[dict[str, Any]] = _data(self._api.read("/api/v1/ssh-keys"))
        return found

    def add_key(self, name: str, public_key: str) -> None:
        """Register an SSH key. The others stay as they are."""
        self._api.write("POST", "/api/v1/ssh-keys", json={"name": name, "public_key": public_key})

    def launch(self, body: Mapping[str, Any]) -> str:
        """Rent a machine. Returns its id."""
        answer = self._api.write("POST", "/api/v1/instance-operations/launch", kind="create", json=dict(body))
        made = _data(answer).get("instance_ids")
        if not made:
            raise DoubtError(f"lambdalabs: a launch was answered without an id: {answer}.")
        return str(made[0])

    def instances(self) -> list[dict[str, Any]]:
        """Every instance of the account."""
        found: list[dict[str, Any]] = _data(self._api.read("/api/v1/instances"))
        return found

    def instance(self, instance: str) -> dict[str, Any]:
        """One instance."""
        found: dict[str, Any] = _data(self._api.read(f"/api/v1/instances/{instance}"))
        return found

    def terminate(self, instance: str) -> bool:
        """End an instance and lose its disk. Returns whether the vendor says that it does so."""
        body = {"instance_ids": [instance]}
        answer = _data(self._api.write("POST", "/api/v1/instance-operations/terminate", json=body))
        return any(line["id"] == instance for line in answer.get("terminated_instances") or [])


def code(error: VendorRefusedError | VendorDoubtError) -> str:
    """The vendor's code of an error, such as `global/quota-exceeded`; empty where it gave none. Its words may change."""
    try:
        return str(error.body["error"]["code"])
    except (KeyError, TypeError):
        return ""


def _data(answer: Any) -> Any:
    if not isinstance(answer, dict) or "data" not in answer:
        raise DoubtError(f"lambdalabs: an answer without `data`: {str(answer)[:200]}.")
    return answer["data"]
