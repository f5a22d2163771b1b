"""Configuration of a host at DigitalOcean."""

from __future__ import annotations

from typing import Literal

from gpurig.rental import RentalSpec


class Spec(RentalSpec):
    """A GPU droplet at DigitalOcean: Ubuntu with systemd, root. Its disk has the size that its type has."""

    provider: Literal["digitalocean"]
