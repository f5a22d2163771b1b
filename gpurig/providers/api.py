"""HTTP with a vendor: pace, time limits, and what an answer, or none, means. The same for all clients that speak REST.

The rule of this module: only a call that changes nothing is repeated. What happened to any other call that got no clear
answer is for the life cycle to find out, from the vendor's listing.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from gpurig import clock
from gpurig.errors import ConfigError, RigError
from gpurig.providers import DoubtError, RefusedError, pace

SECONDS = httpx.Timeout(30.0, connect=10.0)
"""How long a call may take: to connect, and between two pieces of the answer."""

ASK_SECONDS = 15.0
"""How long one call of a search may take, from its first byte to the last of its answer."""

TRIES = 5
"""How often a call that changes nothing is made before its failure is told."""

MARGIN = 1.1
"""Calls are kept this much further apart than the vendor asks for, since they do not arrive as evenly as they are sent."""

HINTS = {
    402: " Add credit to the account, and run this again.",
    403: " Does {key} have the right to do this? Keys are at {where}.",
}
"""What to do about some answers, after the vendor's own words."""

GATEWAYS = (502, 503, 504, 520, 521, 522, 523, 524)
"""Status codes with which a gateway answers for a server that may go on working."""

UNCLEAR = (408, 409, 425, 429)
"""Status codes below 500 after which a call may be made again as it is."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """A vendor's interface.

    name: of the provider; url: base address, which the environment variable GPURIG_<NAME>_URL replaces.
    key: environment variable with the account's key; where: the page that shows it.
    words: takes the parsed body of an error, gives the vendor's own words about it.
    """

    name: str
    url: str
    key: str
    where: str
    words: Callable[[Any], str]

    def base(self) -> str:
        """The address in use."""
        return (os.environ.get(f"GPURIG_{self.name.upper()}_URL") or self.url).rstrip("/")

    def secret(self) -> str:
        """The account's key. Raises ConfigError that says where it comes from."""
        found = os.environ.get(self.key, "").strip()
        if not found:
            raise ConfigError(
                f"{self.name}: no key. Set the environment variable {self.key}, or `{self.key}` under gpurig:secrets "
                f"(`pulumi config set --secret --path gpurig:secrets.{self.key}`); it is shown at {self.where}."
            )
        return found


class Api:
    """Calls to one vendor. every: least seconds between two calls of a kind, by the kind's name; `""` is for all calls."""

    def __init__(self, vendor: Vendor, every: Mapping[str, float]) -> None:
        self.vendor = vendor
        self._every = {kind: seconds * MARGIN for kind, seconds in every.items()}

    def read(self, path: str, *, method: str = "GET", kind: str = "read", **parts: Any) -> Any:
        """A call that changes nothing, repeated until it is answered. Returns the parsed body.

        Raises ConfigError where the key is wrong, RigError with the vendor's words otherwise.
        """
        for attempt in range(TRIES):
            try:
                return self._once(method, path, kind, parts)
            except (DoubtError, UnsentError) as error:
                if attempt == TRIES - 1:
                    raise RigError(str(error)) from error
                clock.sleep(min(pace.LONGEST_PAUSE, 2.0**attempt))
        raise AssertionError

    def write(self, method: str, path: str, *, kind: str = "write", **parts: Any) -> Any:
        """A call that changes something, made once. Returns the parsed body.

        Raises RefusedError where the vendor said no, DoubtError where nobody knows, ConfigError where the key is wrong.
        """
        return self._once(method, path, kind, parts)

    async def ask(self, path: str, *, method: str = "GET", kind: str = "read", **parts: Any) -> Any:
        """`read`, made once, for a search among many vendors at once; its time limit begins when its turn has come."""
        request = self._request(method, path, parts)
        await clock.pause(pace.claim(self.vendor.name, kind, self._every))
        async with httpx.AsyncClient(timeout=SECONDS, verify=trust()) as client:
            try:
                async with asyncio.timeout(ASK_SECONDS):
                    response = await client.send(client.build_request(**request))
            except TimeoutError as error:
                raise RigError(f"{self.vendor.name}: no answer within {ASK_SECONDS:.0f} s") from error
            except httpx.HTTPError as error:
                raise RigError(self._silence(error)) from error
        return self._understood(response)

    def _once(self, method: str, path: str, kind: str, parts: Mapping[str, Any]) -> Any:
        clock.sleep(pace.claim(self.vendor.name, kind, self._every))
        request = self._request(method, path, parts)
        try:
            response = _client().send(_client().build_request(**request))
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:  # nothing was sent
            raise UnsentError(self._silence(error), another=False) from error
        except httpx.HTTPError as error:
            raise DoubtError(self._silence(error)) from error
        return self._understood(response)

    def _request(self, method: str, path: str, parts: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.vendor.secret()}", "Accept": "application/json"}
        return {"method": method, "url": self.vendor.base() + path, "headers": headers, **parts}

    def _understood(self, response: httpx.Response) -> Any:
        """The body of a good answer. Raises for every other."""
        pace.heed(self.vendor.name, response.headers)
        body = _body(response)
        if response.is_success:
            if body is _NOTHING and response.content:
                raise DoubtError(
                    f"{self.vendor.name}: HTTP {response.status_code} without JSON: {response.text[:200]!r}"
                )
            return None if body is _NOTHING else body
        said = self._said(response, body)
        if response.status_code == 401:  # noqa: PLR2004
            raise ConfigError(f"{said} Is {self.vendor.key} right? It is shown at {self.vendor.where}.")
        if response.status_code in HINTS:
            said += HINTS[response.status_code].format(key=self.vendor.key, where=self.vendor.where)
        if response.status_code == 429:  # noqa: PLR2004
            pace.close(self.vendor.name, _asked_pause(response))
        if response.status_code in UNCLEAR or response.status_code >= 500 or response.is_redirect:  # noqa: PLR2004
            raise VendorDoubtError(said, response.status_code, None if body is _NOTHING else body)
        raise VendorRefusedError(said, response.status_code, None if body is _NOTHING else body)

    def _said(self, response: httpx.Response, body: Any) -> str:
        try:
            words = self.vendor.words(body) if body is not _NOTHING else response.text
        except (KeyError, TypeError, AttributeError, IndexError):
            words = response.text
        plain = " ".join(words.split())[:500] or response.reason_phrase
        return f"{self.vendor.name}: HTTP {response.status_code}: {plain}{'' if plain.endswith('.') else '.'}"

    def _silence(self, error: Exception) -> str:
        return f"{self.vendor.name}: no answer from {self.vendor.base()} ({type(error).__name__}: {error})."


class VendorRefusedError(RefusedError):
    """The vendor's no. status: HTTP's; body: parsed, None where it was not JSON."""

    def __init__(self, message: str, status: int, body: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = body


class UnsentError(RefusedError):
    """The vendor could not be reached, so nothing was made."""


class VendorDoubtError(DoubtError):
    """An answer that says nothing about what was done, such as HTTP 502. status, body: as in VendorRefusedError."""

    def __init__(self, message: str, status: int, body: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.answered = status not in GATEWAYS


_NOTHING = object()


def _body(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return _NOTHING


def _asked_pause(response: httpx.Response) -> float:
    """Seconds to leave this vendor alone: as it asks for, else a few."""
    try:
        return min(pace.LONGEST_PAUSE, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return 5.0


@functools.cache
def _client() -> httpx.Client:
    """The one client of this process: connections are shared by all threads, and closed at the end."""
    made = httpx.Client(timeout=SECONDS, verify=trust(), follow_redirects=False)
    atexit.register(made.close)
    return made


@functools.cache
def trust() -> ssl.SSLContext:
    """The system's certificate authorities, so that a company's own is among them; SSL_CERT_FILE is honoured."""
    return ssl.create_default_context()
