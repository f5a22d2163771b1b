"""This computer's address as the internet sees it, which is all that may connect to a new instance."""

from __future__ import annotations

import ipaddress
import os

import httpx

from gpurig.errors import ConfigError

URL = "https://checkip.amazonaws.com"
"""Answers with the caller's address; the environment variable GPURIG_CHECKIP_URL replaces it."""

SECONDS = 5.0


def own() -> str:
    """The range that holds this computer's address alone. Raises ConfigError where it cannot be found out."""
    url = os.environ.get("GPURIG_CHECKIP_URL") or URL
    try:
        answer = httpx.get(url, timeout=SECONDS)
        answer.raise_for_status()
        return str(ipaddress.ip_network(ipaddress.ip_address(answer.text.strip())))
    except (httpx.HTTPError, ValueError) as error:
        raise ConfigError(
            f"allow_from: {url} did not tell this computer's address ({error}); write who may connect, such as 203.0.113.7/32."
        ) from error
