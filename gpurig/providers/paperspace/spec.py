"""Configuration of a host at Paperspace."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gpurig.rental import RentalSpec


class Spec(RentalSpec):
    """A virtual machine at Paperspace: systemd, user `paperspace` with sudo."""

    provider: Literal["paperspace"]
    image: str | None = Field(
        default=None,
        description="Id of a template, such as t0nspur5; default: the vendor's ML-in-a-Box, else its newest Ubuntu.",
    )
