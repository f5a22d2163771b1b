"""Every simulated vendor: one line each."""

from __future__ import annotations

from tests.clients.fake import Vendor
from tests.clients.fake_digitalocean import Digitalocean
from tests.clients.fake_lambdalabs import Lambdalabs
from tests.clients.fake_paperspace import Paperspace
from tests.clients.fake_runpod import Runpod
from tests.clients.fake_vastai import Vastai

VENDORS: list[type[Vendor]] = [
    Vastai,
    Runpod,
    Lambdalabs,
    Digitalocean,
    Paperspace,
]
