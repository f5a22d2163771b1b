"""Serves a simulated vendor as a real HTTP server, and does what a fault says: breaks connections, kills callers."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gpurig import clock
from tests.clients.fake import Fault, Reply, Request, Vendor

BODIES: dict[str, Any] = {
    "status": {"error": "fault", "msg": "a fault"},
    "text": "upstream trouble",
    "html": "<html>Bad gateway</html>",
}
"""What is answered instead of doing anything, by the fault."""


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


@contextlib.contextmanager
def serving(vendor: Vendor) -> Iterator[str]:
    """The address of a vendor, served while the context lasts."""
    server = Server(vendor)
    try:
        yield server.url
    finally:
        server.close()
