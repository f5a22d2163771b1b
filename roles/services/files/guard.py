"""A login in front of an ASGI application that has none, and a limit for what it is sent. Needs nothing but Python.

Programs show the token as `Authorization: Bearer …`. A browser comes by a link with `?token=…` and gets a cookie for it.
Installed by role services.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

BODY_SECONDS = 30.0
"""How long a client may take to send a request."""


class Guard:
    """An ASGI application around another one.

    token: the secret. name: of the cookie, since cookies do not tell ports apart. public: paths that need no login.
    limit: bytes that a request's body may have.
    """

    def __init__(self, app: Application, token: str, *, name: str, public: Collection[str] = (), limit: int) -> None:
        if not token:
            raise ValueError("the token is empty")
        self._app, self._token, self._public, self._limit = app, token, frozenset(public), limit
        self._cookie = f"gpurig-{name}"
        self._proof = hashlib.sha256(f"cookie of {token}".encode()).hexdigest()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One connection, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no WebSockets: the server refuses the handshake
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if scope["path"] not in self._public and not self._known(headers):
            await self._stranger(scope, send)
            return
        try:
            body = await asyncio.wait_for(self._body(headers, receive), BODY_SECONDS)
        except asyncio.TimeoutError:  # noqa: UP041 (the same only since Python 3.11)
            await self._say(send, HTTPStatus.REQUEST_TIMEOUT, f"the request did not arrive within {BODY_SECONDS:.0f} s")
            return
        if body is None:
            await self._say(send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request may have {self._limit} bytes")
            return
        await self._app(scope, _replayed(body, receive), send)

    def _known(self, headers: dict[str, str]) -> bool:
        kind, _, shown = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return _same(shown.strip(), self._token)
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return False
        origin = headers.get("origin", "")
        ours = not origin or origin.partition("://")[2] == headers.get("host")
        return cookie is not None and ours and _same(cookie.value, self._proof)

    async def _stranger(self, scope: Message, send: Send) -> None:
        """Whoever has no login: with the link it is given, else refused."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["method"] == "GET" and _same(given, self._token):
            # Not Strict: the browser comes from a page of `rig open`, and would leave that cookie out after this redirect.
            cookie = f"{self._cookie}={self._proof}; Path=/; HttpOnly; SameSite=Lax"
            await self._say(send, HTTPStatus.SEE_OTHER, "welcome", location=scope["path"], set_cookie=cookie)
            return
        advice = "show the token: `Authorization: Bearer TOKEN`, or open the link that `rig open` prints"
        await self._say(send, HTTPStatus.UNAUTHORIZED, advice, www_authenticate="Bearer")

    async def _body(self, headers: dict[str, str], receive: Receive) -> bytes | None:
        """The whole body; None where it is too long."""
        stated = headers.get("content-length", "0")
        if not stated.isdigit() or int(stated) > self._limit:
            return None
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._limit:
                return None
            more = message.get("more_body", False)
        return b"".join(parts)

    async def _say(self, send: Send, status: HTTPStatus, text: str, **headers: str) -> None:
        body = json.dumps({"detail": text}).encode()
        fields = {"content-type": "application/json", "content-length": str(len(body)), **headers}
        lines = [(key.replace("_", "-").encode(), value.encode("latin-1")) for key, value in fields.items()]
        await send({"type": "http.response.start", "status": int(status), "headers": lines})
        await send({"type": "http.response.body", "body": body})


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A body that was read already, then whatever comes after it."""
    first = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())
