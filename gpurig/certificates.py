"""Extra CA certificates: what a company's network adds to the trust that every system ships."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterable
from pathlib import Path

import certifi

DISTRIBUTION = Path("/usr/share/ca-certificates")
"""Where Debian and Ubuntu keep the public authorities that a system bundle is made of."""

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def extra(bundle: str) -> list[str]:
    """The PEM certificates of a bundle file that are no public authorities, each once, in the bundle's order.

    Public are those of certifi and those of this machine's own distribution: an authority that one of them no longer
    trusts must not travel to a host as if the user had added it. `auto` is this machine's own bundle; an empty path gives
    an empty list.
    Raises OSError where the file cannot be read, ValueError where it holds no certificate.
    """
    bundle = own_bundle() if bundle == "auto" else bundle
    if not bundle:
        return []
    found = {_der(pem): f"{pem}\n" for pem in _pems(Path(bundle).expanduser())}
    if not found:
        raise ValueError(f"{bundle} holds no PEM certificate")
    public = {_der(pem) for path in _public() for pem in _pems(path)}
    return [pem for der, pem in found.items() if der not in public]


def own_bundle() -> str:
    """Path of the bundle that this machine's programs trust: SSL_CERT_FILE, else the system's; empty where there is none."""
    candidates = (os.environ.get("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem")
    return next((path for path in candidates if path and Path(path).is_file()), "")


def _public() -> Iterable[Path]:
    yield Path(certifi.where())
    yield from DISTRIBUTION.rglob("*.crt")


def _pems(path: Path) -> list[str]:
    return _PEM.findall(path.read_text(encoding="utf-8", errors="replace"))


def _der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem)
