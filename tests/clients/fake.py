"""A simulated vendor: a real HTTP server that is strict, has a state that changes with time, and can misbehave.

What all vendors share is here; each vendor's own rules are in `fake_<name>.py`. Requests and replies are validated against the
vendor's OpenAPI file where there is one (GPURIG_SPECS, else ../shared/specs beside the repository).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from gpurig import clock
from tests.clients.specification import validator

TOO_MANY = 429

GOOD_KEY, READ_ONLY_KEY = "good-key", "read-only-key"


@dataclass(slots=True)
class Request:
    """One call. body: parsed JSON, None without one; query: last value of each name."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    key: str


@dataclass(slots=True)
class Reply:
    """What is answered. body: JSON data, or text as it is, or None for nothing."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Rented:
    """One machine, as the vendor really has it. Times are of gpurig.clock, in seconds.

    listed_from: when listings begin to show it; unlisted_from: when they stop, after its end.
    address, port: where it is reached, where that is not the vendor's own `address` and `port`; see Vendor.endpoint.
    """

    id: str
    mark: str
    made: float
    listed_from: float
    facts: dict[str, Any]
    ended: float | None = None
    unlisted_from: float = float("inf")
    state: str = "running"
    note: str = ""
    address: str = ""
    port: int = 0


@dataclass(slots=True)
class Fault:
    """Something that goes wrong once, at the nth call of a kind (0 is the next one).

    kind: a route's name, or `*`. what: `lose_request` (nothing is done, the connection breaks), `lose_reply` (done, then it
    breaks), `half_reply`, `delay` (argument: seconds), `status` (argument; nothing is done), `status_after` (argument; done),
    `text` and `html` (argument: status; nothing is done), `kill_before`, `kill_during`, `kill_after` (argument: process id).
    """

    kind: str
    what: str
    argument: float = 0
    nth: int = 0


Handler = Callable[..., Reply]


def route(method: str, path: str, kind: str) -> Callable[[Handler], Handler]:
    """Marks a vendor's method as the answer to a call; `{name}` in the path becomes an argument."""

    def marked(handler: Handler) -> Handler:
        handler.route = (method, path, kind)  # type: ignore[attr-defined]  # read by Vendor.__init__
        return handler

    return marked


class Vendor:
    """What the fakes share. Subclasses add routes, an error format, and the vendor's own rules.

    blind_until: until then listings show nothing at all. lag: seconds that listings are behind, after a machine was made and after it ended. boots: seconds until it runs.
    every: least seconds between two calls of a kind; enforced where `strict_pace`. balance: USD.
    """

    name: ClassVar[str]
    gpu: ClassVar[str] = "RTX 4090"
    spec: ClassVar[str] = ""
    overlays: ClassVar[Mapping[str, str]] = {}
    """JSON pointer into the specification → why what is there is not the truth; that part is not validated."""
    every: ClassVar[Mapping[str, float]] = {}

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.machines: dict[str, Rented] = {}
        self.faults: list[Fault] = []
        self.calls: list[tuple[float, str, str]] = []
        self.mistakes: list[str] = []
        self.too_often = 0
        self.lag = 0.0
        self.boots = 0.0
        self.balance = 100.0
        self.strict_pace = False
        self.lists_twice = False
        self.blind_until = float("-inf")
        self.address = "127.0.0.1"
        self.port = 22
        self._numbers = 1000
        self._last: dict[str, float] = {}
        self._routes = [
            (method, _pattern(path), kind, path, handler)
            for handler in (getattr(self, name) for name in dir(type(self)))
            if hasattr(handler, "route")
            for method, path, kind in [handler.route]
        ]

    # What subclasses answer with.

    def error(self, status: int, code: str, message: str) -> Reply:
        """A refusal in the vendor's form."""
        raise NotImplementedError

    def rent(self, mark: str, **facts: Any) -> Rented:
        """Make a machine."""
        with self.lock:
            self._numbers += 1
            now = clock.monotonic()
            made = Rented(str(self._numbers), mark, now, now + self.lag, facts)
            self.machines[made.id] = made
            return made

    def end(self, machine: Rented) -> None:
        """End a machine; its listing goes on for the lag."""
        if machine.ended is None:
            machine.ended = clock.monotonic()
            machine.unlisted_from = machine.ended + self.lag

    def shown(self) -> list[Rented]:
        """The machines that a listing shows now."""
        now = clock.monotonic()
        if now < self.blind_until:
            return []
        found = [m for m in self.machines.values() if m.listed_from <= now < m.unlisted_from]
        return found * 2 if self.lists_twice else found

    def living(self) -> list[Rented]:
        """The machines that bill, whatever a listing shows."""
        return [m for m in self.machines.values() if m.ended is None]

    def runs(self, machine: Rented) -> bool:
        """Whether it has booted."""
        return machine.state == "running" and clock.monotonic() >= machine.made + self.boots

    def endpoint(self, machine: Rented) -> tuple[str, int]:
        """Address and port at which a machine that runs is reached."""
        return machine.address or self.address, machine.port or self.port

    # The server.

    def answer(self, request: Request) -> Reply:
        """The reply to a call, done under the vendor's rules."""
        for method, pattern, kind, path, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if method != request.method or match is None:
                continue
            with self.lock:
                self.calls.append((clock.monotonic(), kind, request.path))
                refused = self._refused(request, kind)
                if refused is None:
                    self._check(f"request of {kind}", request.body, [path, method.lower(), "requestBody"])
                reply = refused or handler(request, **match.groupdict())
                self._check_reply(kind, reply, path, method.lower())
                self.too_often += reply.status == TOO_MANY
                return reply
        return self.error(404, "not_found", f"no such call: {request.method} {request.path}")

    def kind_of(self, request: Request) -> str:
        """The name of the route that a call takes."""
        for method, pattern, kind, _, _ in self._routes:
            if method == request.method and pattern.fullmatch(request.path):
                return str(kind)
        return "unknown"

    def fault(self, kind: str) -> Fault | None:
        """The fault that is due for a call of this kind, if any; it happens once."""
        with self.lock:
            for fault in self.faults:
                if fault.kind not in (kind, "*"):
                    continue
                if fault.nth == 0:
                    self.faults.remove(fault)
                    return fault
                fault.nth -= 1
        return None

    def _refused(self, request: Request, kind: str) -> Reply | None:
        if request.key not in (GOOD_KEY, READ_ONLY_KEY):
            return self.error(401, "unauthorized", "the key is not valid")
        if request.key == READ_ONLY_KEY and request.method != "GET" and kind != "offers":
            return self.error(403, "forbidden", "this key may not do that")
        now = clock.monotonic()
        for name in {"", kind} & set(self.every):
            if self.strict_pace and now < self._last.get(name, -1e9) + self.every[name] * 0.98:
                return self.too_many(kind)
            self._last[name] = now
        return None

    def too_many(self, kind: str) -> Reply:
        """HTTP 429 in the vendor's form."""
        return Reply(429, f"API requests too frequent: endpoint threshold={self.every.get(kind, 1)}")

    def _check(self, what: str, body: Any, where: list[str]) -> None:
        """Note a mistake where a body does not fit the specification."""
        fits = validator(self.spec, tuple(where)) if self.spec else None
        if fits is None:
            return
        for problem in fits.iter_errors(body):
            pointer = "/".join(map(str, problem.absolute_schema_path))
            if not any(re.search(overlay, f"{what}: {pointer}: {problem.json_path}") for overlay in self.overlays):
                self.mistakes.append(f"{what}: {problem.json_path}: {problem.message[:300]} (at {pointer})")

    def _check_reply(self, kind: str, reply: Reply, path: str, method: str) -> None:
        if reply.body is not None and not isinstance(reply.body, str):
            self._check(f"reply {reply.status} of {kind}", reply.body, [path, method, "responses", str(reply.status)])


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))
