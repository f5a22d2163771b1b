"""Configuration of a host at Vast.ai."""

from __future__ import annotations

from typing import Literal

from gpurig.rental import RentalSpec


class Spec(RentalSpec):
    """A container at Vast.ai: root, no systemd."""

    provider: Literal["vastai"]
