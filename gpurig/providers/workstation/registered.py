"""What every machine that already exists has in its entry, whatever runs on it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from gpurig.spec import HostSpec

HOST_KEY = r"^(SHA256:[A-Za-z0-9+/]{43}|(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/=]+)$"
"""A host key, or its fingerprint, as OpenSSH prints them."""


class Registered(HostSpec):
    """A machine that is reached by SSH, never made and never ended."""

    console: ClassVar[str] = (
        "Compare it at the machine's own console (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`)"
    )
    """How its owner reads the host key's fingerprint without the network."""

    provider: Literal["workstation"]
    address: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9.:_-]*$", description="Name or IP address.")
    port: int = Field(default=22, ge=1, le=65535, description="Port of its sshd.")
    user: str
    identity: str | None = Field(default=None, description="Private key to log in with; default: gpurig's own.")
    host_key: str | None = Field(
        default=None,
        pattern=HOST_KEY,
        description="The machine's host key or its SHA256 fingerprint; else it is confirmed once with `rig register`.",
    )

    def claims(self) -> dict[str, str]:
        return {"address": f"{self.address}:{self.port}"}
