"""A simulated vendor: a real HTTP server that is strict, has a state that changes with time, and can misbehave.

What all vendors share is here; each vendor's own rules are in `fake_<name>.py`. Requests and replies are validated against the
vendor's OpenAPI file where there is one (GPURIG_SPECS, else ../shared/specs beside the repository).
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import yaml
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from gpurig import clock
from gpurig.catalogue import ROOT

SPECS = Path(os.environ.get("GPURIG_SPECS") or ROOT.parent / "shared" / "specs")

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


BODIES: dict[str, Any] = {
    "status": {"error": "fault", "msg": "a fault"},
    "text": "upstream trouble",
    "html": "<html>Bad gateway</html>",
}
"""What is answered instead of doing anything, by the fault."""

Handler = Callable[..., Reply]


def route(method: str, path: str, kind: str) -> Callable[[Handler], Handler]:
    """Marks a vendor's method as the answer to a call; `{name}` in the path becomes an argument."""

    def marked(handler: Handler) -> Handler:
        handler.route = (method, path, kind)  # type: ignore[attr-defined]  # read by Vendor.__init__
        return handler

    return marked


class Vendor:
    """What the fakes share. Subclasses add routes, an error format, and the vendor's own rules.

    lag: seconds that listings are behind, after a machine was made and after it ended. boots: seconds until it runs.
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
        validator = _validator(self.spec, tuple(where)) if self.spec else None
        if validator is None:
            return
        for problem in validator.iter_errors(body):
            pointer = "/".join(map(str, problem.absolute_schema_path))
            if not any(re.search(overlay, f"{what}: {pointer}: {problem.json_path}") for overlay in self.overlays):
                self.mistakes.append(f"{what}: {problem.json_path}: {problem.message[:300]} (at {pointer})")

    def _check_reply(self, kind: str, reply: Reply, path: str, method: str) -> None:
        if reply.body is not None and not isinstance(reply.body, str):
            self._check(f"reply {reply.status} of {kind}", reply.body, [path, method, "responses", str(reply.status)])


class Server:
    """A vendor on a port of its own, in threads of this process."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self._server = _Http(("127.0.0.1", 0), functools.partial(_Connection, vendor))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that were killed leave broken connections, which is what is tested."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, vendor: Vendor, *rest: Any) -> None:
        self.vendor = vendor
        super().__init__(*rest)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name is the base class's)
        """Quiet."""

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        body = None
        if raw:
            try:
                body = json.loads(raw)
            except ValueError:
                self.vendor.mistakes.append(f"{self.command} {parts.path}: the body is not JSON")
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        request = Request(self.command, parts.path, query, body, key)
        fault = self.vendor.fault(self.vendor.kind_of(request))
        if fault is None:
            self._send(self.vendor.answer(request))
        elif not self._before(fault):
            self._after(fault, self.vendor.answer(request))

    def _before(self, fault: Fault) -> bool:
        """What goes wrong before anything is done; True where nothing will be."""
        if fault.what == "kill_before":
            _kill(int(fault.argument))
        if fault.what in ("lose_request", "kill_before"):
            self._hang_up()
            return True
        if fault.what in BODIES:
            self._send(Reply(int(fault.argument), BODIES[fault.what]))
            return True
        if fault.what == "delay":
            clock.sleep(fault.argument)
        return False

    def _after(self, fault: Fault, reply: Reply) -> None:
        """What goes wrong after it was done."""
        match fault.what:
            case "lose_reply" | "kill_after":
                if fault.what == "kill_after":
                    _kill(int(fault.argument))
                self._hang_up()
            case "half_reply" | "kill_during":
                self._send(reply, half=True)
                if fault.what == "kill_during":
                    _kill(int(fault.argument))
                self._hang_up()
            case "status_after":
                self._send(Reply(int(fault.argument), "upstream trouble"))
            case _:
                self._send(reply)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 (the names are the base class's)

    def _send(self, reply: Reply, *, half: bool = False) -> None:
        text = isinstance(reply.body, str)
        data = b"" if reply.body is None else reply.body.encode() if text else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Type", "text/plain" if text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if half else data)
        self.wfile.flush()

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


def _shape(path: str) -> str:
    """A path with its arguments' names left out, and without the slash at its end."""
    return re.sub(r"\{\w+\}", "{}", path.rstrip("/"))


@functools.cache
def document(spec: str) -> dict[str, Any] | None:
    """A vendor's OpenAPI file; None where it is not on this machine."""
    file = SPECS / spec
    if not file.exists():
        return None
    text = file.read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text) if file.suffix == ".json" else yaml.load(text, Loader=_Yaml)  # noqa: S506
    _without_discriminators(data)
    return data


def _without_discriminators(node: Any) -> None:
    """Take out hints that only say which alternative is meant, since some name files that the one file does not hold."""
    if isinstance(node, dict):
        if isinstance(node.get("discriminator"), dict) and "mapping" in node["discriminator"]:
            del node["discriminator"]
        for part in node.values():
            _without_discriminators(part)
    elif isinstance(node, list):
        for part in node:
            _without_discriminators(part)


_Yaml: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def _validator(spec: str, where: tuple[str, ...]) -> Validator | None:
    """The validator of a call's body or of one of its replies; None where the specification has none."""
    whole = document(spec)
    if whole is None:
        return None
    path, *rest = where
    shape = _shape(path)
    named = next((one for one in whole["paths"] if _shape(one) == shape), "")
    found: Any = whole["paths"].get(named)
    pointer = ["paths", named]
    for part in [*rest, "content"]:
        while isinstance(found, dict) and "$ref" in found:
            pointer = [piece.replace("~1", "/") for piece in found["$ref"].removeprefix("#/").split("/")]
            found = functools.reduce(lambda node, piece: node[piece], pointer, whole)
        if not isinstance(found, dict) or part not in found:
            return None
        found, pointer = found[part], [*pointer, part]
    kind = next((name for name in found if "json" in name), None)
    if kind is None:
        return None
    text = "/".join(piece.replace("~", "~0").replace("/", "~1") for piece in [*pointer, kind, "schema"])
    registry: Any = Registry().with_resource("urn:vendor", DRAFT202012.create_resource(whole))
    chosen: Any = OAS30Validator if str(whole["openapi"]).startswith("3.0") else Draft202012Validator
    made: Validator = chosen({"$ref": f"urn:vendor#/{text}"}, registry=registry)
    return made


@contextlib.contextmanager
def serving(vendor: Vendor) -> Iterator[str]:
    """The address of a vendor, served while the context lasts."""
    server = Server(vendor)
    try:
        yield server.url
    finally:
        server.close()
