"""What can be asked of a machine over SSH before its host key is pinned."""

from __future__ import annotations

import subprocess

from gpurig import keys
from gpurig.errors import RigError


def host_keys(address: str, port: int) -> list[str]:
    """The host keys that a machine shows, `type base64` each, Ed25519 first. Unverified: compare before use."""
    command = ["ssh-keyscan", "-T", "5", "-p", str(port), "-t", "ed25519,ecdsa,rsa", address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise RigError("ssh-keyscan is missing: install OpenSSH's client, or run `make setup`.") from error
    found = [" ".join(line.split()[1:3]) for line in done.stdout.splitlines() if line and not line.startswith("#")]
    return sorted(found, key=lambda key: (not key.startswith("ssh-ed25519"), key))


def matching(offered: list[str], pinned: str) -> str | None:
    """The offered key that `pinned` (a key or its SHA256 fingerprint) names, if any."""
    return next((key for key in offered if pinned in (key, keys.fingerprint(key))), None)
