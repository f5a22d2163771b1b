"""Looking at a service through SSH, and at sshd without a key. ssh itself is a stand-in here; tests/e2e has the real one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gpurig import access, handshake, probe
from gpurig.stack import Stack
from tests.unit.test_verification_judgement import ASKED

RELAY = """
import os, socket, sys, threading
there = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def up():
    while data := os.read(0, 65536):
        there.sendall(data)
threading.Thread(target=up, daemon=True).start()
while data := there.recv(65536):
    os.write(1, data)
"""


class Handler(BaseHTTPRequestHandler):
    """A service that hands out a cookie to whoever has the token, as Jupyter does."""

    def do_GET(self) -> None:
        cookie = self.headers.get("Cookie", "")
        if self.path == "/lab?token=right":
            self.send(302, Location="/lab", **{"Set-Cookie": "session=yes; Path=/"})
        elif self.path == "/lab" and "session=yes" in cookie:
            self.send(200)
        elif self.path == "/round":
            self.send(302, Location="/round")
        elif self.path.startswith("/lab"):
            self.send(302, Location="/login?next=lab")
        elif self.path == "/garbage":
            self.wfile.write(b"220 mail ready\r\n\r\n")
        else:
            self.send(200 if self.path.startswith("/login") else 403)

    def send(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Where the service listens; ssh's stand-in leads there."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = server.server_address[1]
        relay = [sys.executable, "-c", RELAY]
        monkeypatch.setattr(access, "ssh", lambda stack, alias, option, where: [*relay, where.split(":")[1]])
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield found
        server.shutdown()


@pytest.mark.parametrize(("address", "where"), [("10.0.0.7", "10.0.0.7:{}"), ("fd00::7", "[fd00::7]:{}")])
def test_another_address_of_the_host_is_asked_by_its_own_name(
    stack: Stack, port: int, monkeypatch: pytest.MonkeyPatch, address: str, where: str
) -> None:
    asked: list[str] = []

    def ssh(_stack: Stack, _alias: str, _option: str, to: str) -> list[str]:
        asked.append(to)
        return [sys.executable, "-c", RELAY, str(port)]

    def answer(handler: Handler) -> None:
        asked.append(handler.headers["Host"])
        handler.send(200)

    monkeypatch.setattr(access, "ssh", ssh)
    monkeypatch.setattr(Handler, "do_GET", answer)
    assert probe.get(stack, "demo", port, "/", address=address).status == 200
    assert asked == [where.format(port), where.format(port)]


@pytest.mark.parametrize(
    ("path", "status", "end"),
    [
        ("/lab?token=right", 200, "/lab"),
        ("/lab?token=wrong", 200, "/login"),
        ("/api/status", 403, "/api/status"),
        ("/round", 0, ""),
        ("/garbage", 0, ""),
    ],
)
def test_redirects_are_followed_as_a_browser_would(stack: Stack, port: int, path: str, status: int, end: str) -> None:
    answer = probe.get(stack, "demo", port, path)
    assert (answer.status, answer.path) == (status, end)


def test_where_nothing_listens_there_is_no_answer(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "ssh", lambda *_: [sys.executable, "-c", "raise SystemExit(1)"])
    answer = probe.get(stack, "demo", 9, "/")
    assert answer.status == 0
    assert "nothing at port 9" in str(answer)


def test_the_stranger_brings_a_password_and_no_key(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ssh is told decides what the attempt proves."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    (tmp_path / "said").write_text(ASKED)
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\n'
        f'[ "$SSH_ASKPASS_REQUIRE" = force ] && "$SSH_ASKPASS" > {tmp_path}/password\ncat {tmp_path}/said >&2\nexit 255\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    found = handshake.attempt(stack, "demo", "root")
    words = (tmp_path / "words").read_text().splitlines()
    assert {"PubkeyAuthentication=no", "ControlPath=none", "User=root", "demo"} <= set(words)
    assert "BatchMode=yes" not in words
    assert (tmp_path / "password").read_text().strip()
    assert found.asked == ("keyboard-interactive", "password")
    assert not found.entered
