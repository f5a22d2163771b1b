"""What a running SSH server offers to somebody who has no key: read from the wire, not from its configuration."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gpurig import access
from gpurig.stack import Stack

MODERN = {
    "key exchange": re.compile(
        r"mlkem768x25519-sha256|sntrup761x25519-.+|curve25519-.+|diffie-hellman-group1[68]-sha512"
    ),
    "host key": re.compile(r"(sk-)?ssh-ed25519(-cert-.+|@openssh\.com)?|rsa-sha2-(256|512)(-cert-.+)?"),
    "cipher": re.compile(r"chacha20-poly1305@openssh\.com|aes(128|256)-gcm@openssh\.com|aes(128|192|256)-ctr"),
    "MAC": re.compile(r"hmac-sha2-(256|512)-etm@openssh\.com|umac-128-etm@openssh\.com"),
}
"""Algorithms that are fine by today's knowledge (ssh-audit's and Mozilla's recommendations); others are weak or doubtful."""

_MARKERS = re.compile(r"ext-info-s|kex-strict-s-v00@openssh\.com")
"""Entries of the key exchange list that are no algorithms."""

_LINES = {
    "key exchange": "KEX algorithms",
    "host key": "host key algorithms",
    "cipher": "ciphers stoc",
    "MAC": "MACs stoc",
}


@dataclass(frozen=True, slots=True)
class Handshake:
    """One connection without a key.

    offers: for each kind of `MODERN`, what the server offers, in its order.
    asked: ways of logging in with a password for which the server let us try one.
    entered: it let us in.
    """

    offers: dict[str, tuple[str, ...]]
    asked: tuple[str, ...]
    entered: bool

    def weak(self, kind: str) -> list[str]:
        """Offered algorithms of this kind that are not modern."""
        return [name for name in self.offers[kind] if not MODERN[kind].fullmatch(name)]


def attempt(stack: Stack, alias: str, user: str) -> Handshake:
    """Try to log in to a recorded host with a wrong password and without our key.

    Raises OSError where the server cannot be spoken with.
    """
    options = {
        "ControlMaster": "no",
        "ControlPath": "none",
        "PubkeyAuthentication": "no",
        "PreferredAuthentications": "keyboard-interactive,password",
        "NumberOfPasswordPrompts": "1",
        "User": user,
    }
    with tempfile.TemporaryDirectory() as folder:
        ask = Path(folder) / "ask"
        ask.write_text("#!/bin/sh\necho gpurig-tries-a-wrong-password\n", encoding="utf-8")
        ask.chmod(0o700)
        command = ["ssh", "-vv", "-T", "-F", str(access.config_file(stack))]
        command += [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        command += [alias, "true"]
        # DISPLAY and no terminal are what versions before 8.4 want before they ask a program.
        environment = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":0"}
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            start_new_session=True,
        )
    return parse(done.stderr, entered=done.returncode == 0)


def parse(debug: str, *, entered: bool) -> Handshake:
    """Read the output of `ssh -vv`. Raises OSError with its last line where it holds no handshake."""
    _, found, server = debug.partition("peer server KEXINIT proposal")
    if not found:
        raise OSError(debug.strip().splitlines()[-1] if debug.strip() else "ssh said nothing")
    offers = {}
    for kind, title in _LINES.items():
        match = re.search(rf"debug2: {title}: (\S*)", server)
        names = match.group(1).split(",") if match else []
        offers[kind] = tuple(name for name in names if name and not _MARKERS.fullmatch(name))
    asked = re.findall(r"Next authentication method: (password|keyboard-interactive)", server)
    return Handshake(offers, tuple(dict.fromkeys(asked)), entered)
