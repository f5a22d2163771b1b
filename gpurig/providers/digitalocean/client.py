"""DigitalOcean's REST interface: calls and nothing else. Documented at https://docs.digitalocean.com/reference/api."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpurig.errors import RigError
from gpurig.providers import DoubtError
from gpurig.providers.api import Api, Vendor

SCOPES = (
    "droplet:create, droplet:read, droplet:update, droplet:delete, ssh_key:create, ssh_key:read, tag:create, tag:read, image:read, "
    "sizes:read, regions:read, actions:read, billing:read"
)
"""What a token must be allowed, by the vendor's specification of each call."""


def _words(body: Any) -> str:
    if str(body["id"]).lower() == "forbidden":
        return f"{body['message']} (a token needs the scopes {SCOPES})"
    return str(body["message"])


VENDOR = Vendor(
    name="digitalocean",
    url="https://api.digitalocean.com",
    key="DIGITALOCEAN_TOKEN",
    where="https://cloud.digitalocean.com/account/api/tokens",
    words=_words,
)

EVERY = {"": 0.25}
"""Seconds between two calls: the vendor allows 250 a minute."""

PAGE = 200
"""Entries in one answer; the vendor's limit."""

READINGS = 5
"""How often a listing of several pages is read until it stays the same."""


class Client:
    """Lists come in pages. A page is asked for by its number, since the address of the next one is the vendor's to choose."""

    def __init__(self) -> None:
        self._api = Api(VENDOR, EVERY)

    async def sizes(self) -> list[dict[str, Any]]:
        """Every type of machine, with and without GPUs."""
        found: list[dict[str, Any]] = []
        number, more = 1, True
        while more:
            page = await self._api.ask("/v2/sizes", params={"per_page": PAGE, "page": number})
            found += _entries(page, "sizes")
            number, more = number + 1, _has_next(page)
        return found

    def keys(self) -> Iterator[dict[str, Any]]:
        """The account's SSH keys."""
        for page in self._pages("/v2/account/keys", {}):
            yield from _entries(page, "ssh_keys")

    def add_key(self, name: str, public_key: str) -> None:
        """Register an SSH key. The others stay as they are."""
        self._api.write("POST", "/v2/account/keys", json={"name": name, "public_key": public_key})

    def create(self, body: Mapping[str, Any]) -> str:
        """Rent a droplet. Returns its id."""
        answer = self._api.write("POST", "/v2/droplets", json=dict(body))
        try:
            return str(answer["droplet"]["id"])
        except (KeyError, TypeError) as error:
            raise DoubtError(f"digitalocean: a droplet was answered without an id: {str(answer)[:200]}.") from error

    def droplets(self, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """Every droplet that a filter lets through. Raises RigError where that cannot be told for sure.

        Whatever is deleted between two pages moves the rest, and a droplet may be on neither of them. So several pages count
        only when they are read twice with the same droplets.
        """
        before: set[int] = set()
        for _ in range(READINGS):
            pages = list(self._pages("/v2/droplets", filters))
            found = [line for page in pages for line in _entries(page, "droplets")]
            ids = {line["id"] for line in found}
            if len(pages) == 1 or ids == before:
                return found
            before = ids
        raise RigError("digitalocean: the listing of droplets changed each time that it was read; try again.")

    def actions(self, droplet: str) -> list[dict[str, Any]]:
        """What was done to a droplet, newest first: `type`, such as `create`, and `status`."""
        return _entries(self._api.read(f"/v2/droplets/{droplet}/actions", params={"per_page": PAGE}), "actions")

    def power_on(self, droplet: str) -> None:
        """Start a droplet that was switched off."""
        self._api.write("POST", f"/v2/droplets/{droplet}/actions", json={"type": "power_on"})

    def delete(self, droplet: str) -> None:
        """End a droplet and lose its disk."""
        self._api.write("DELETE", f"/v2/droplets/{droplet}")

    def balance(self) -> dict[str, str]:
        """What the account owes, in USD: `account_balance` and `month_to_date_balance`; less than 0 is credit."""
        found: dict[str, str] = self._api.read("/v2/customers/my/balance")
        return found

    def _pages(self, path: str, filters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        number, more = 1, True
        while more:
            page = self._api.read(path, params={**filters, "per_page": PAGE, "page": number})
            yield page
            number, more = number + 1, _has_next(page)


def _entries(page: Any, name: str) -> list[dict[str, Any]]:
    if not isinstance(page, dict) or not isinstance(page.get(name), list):
        raise DoubtError(f"digitalocean: an answer without `{name}`: {str(page)[:200]}.")
    found: list[dict[str, Any]] = page[name]
    return found


def _has_next(page: dict[str, Any]) -> bool:
    return "next" in ((page.get("links") or {}).get("pages") or {})
