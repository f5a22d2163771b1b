"""Configuration of a machine that already exists."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from gpurig.spec import HostSpec

HOST_KEY = r"^(SHA256:[A-Za-z0-9+/]{43}|(ssh-ed25519|ecdsa-sha2-nistp256|ssh-rsa) [A-Za-z0-9+/=]+)$"
"""A host key, or its fingerprint, as OpenSSH prints them."""


class Spec(HostSpec):
    """A Linux machine that is reached by SSH."""

    fixed: ClassVar[frozenset[str]] = frozenset({"provider"})

    provider: Literal["workstation"]
    os: Literal["linux"] = "linux"
    address: str = Field(min_length=1, pattern=r"^[A-Za-z0-9][A-Za-z0-9.:_-]*$", description="Name or IP address.")
    port: int = Field(default=22, ge=1, le=65535)
    user: str = Field(pattern=r"^[a-z_][a-z0-9_-]*$", description="Login user: root, or one with password-less sudo.")
    identity: str | None = Field(default=None, description="Private key to log in with; default: gpurig's own.")
    host_key: str | None = Field(
        default=None,
        pattern=HOST_KEY,
        description="The machine's host key or its SHA256 fingerprint; else it is confirmed once with `rig register`.",
    )
    init: Literal["systemd", "none"] = "systemd"
    gpu_driver: Literal["none", "managed", "provided"] = Field(
        default="none",
        description="`provided` where an NVIDIA driver is installed, `managed` where gpurig shall install it.",
    )

    def claims(self) -> dict[str, str]:
        return {"address": f"{self.address}:{self.port}"}
