"""SSH keys that gpurig makes: its own login key, and host keys that are put into new machines."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from pathlib import Path

from gpurig.errors import RigError
from gpurig.stack import Stack, locked, private_dir


def login_key(home: Path) -> Path:
    """gpurig's own private login key; made on first use. Its public half lies beside it as `.pub`."""
    return _make(home / "keys" / "id_ed25519", "gpurig")


def host_key(stack: Stack, host: str, generation: int) -> Path:
    """The host key that is put into this generation of a host before it first starts."""
    return _make(stack.dir / "hostkeys" / f"{host}-{generation}" / "ssh_host_ed25519_key", host)


def public_half(private: Path) -> str:
    """`type base64` of a key pair, without its comment."""
    return " ".join(private.with_name(private.name + ".pub").read_text(encoding="utf-8").split()[:2])


def fingerprint(public: str) -> str:
    """`SHA256:…` of a public key, as ssh-keygen -l prints it."""
    digest = hashlib.sha256(base64.b64decode(public.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _make(path: Path, comment: str) -> Path:
    with locked(path.parent / f".{path.name}.lock", wait=True, busy=""):
        if path.exists() and path.with_name(path.name + ".pub").exists():
            return path
        private_dir(path.parent)
        draft = path.with_name(path.name + ".new")
        for old in (draft, draft.with_name(draft.name + ".pub")):
            old.unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(draft)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise RigError("ssh-keygen is missing: install OpenSSH's client, or run `make setup`.") from error
        except subprocess.CalledProcessError as error:
            raise RigError(f"Could not make the SSH key {path}: {error.stderr.strip()}") from error
        draft.with_name(draft.name + ".pub").replace(path.with_name(path.name + ".pub"))
        draft.replace(path)
        return path
