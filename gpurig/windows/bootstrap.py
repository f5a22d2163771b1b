"""The one script that a PC's owner runs there by hand: from then on gpurig gets in by SSH with its key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpurig.catalogue import ROOT

RELEASE = "https://github.com/PowerShell/Win32-OpenSSH/releases/download/v9.8.3.0p2-Preview"


@dataclass(frozen=True, slots=True)
class Installer:
    """An MSI of Microsoft's, pinned."""

    url: str
    sha256: str


# microsoft/winget-pkgs manifests/m/Microsoft/OpenSSH/Preview/9.8.3.0/Microsoft.OpenSSH.Preview.installer.yaml (2025-04-18).
INSTALLERS = {
    "AMD64": Installer(
        f"{RELEASE}/OpenSSH-Win64-v9.8.3.0.msi", "C8A8C7E21136A099665C2FAD9ACCB41152D129466B719EA71678BAB665E03389"
    ),
    "ARM64": Installer(
        f"{RELEASE}/OpenSSH-ARM64-v9.8.3.0.msi", "5CBE84935B51402BD5DE0E0E00B8F0C7A7AE605A9F1D3D3C1D0172C6343EAEBB"
    ),
}
"""PROCESSOR_ARCHITECTURE → what is installed where Windows Update gives no OpenSSH."""

QUOTES = "'\u2018\u2019\u201a\u201b"
"""What PowerShell takes for a single quotation mark."""


def render(*, host: str, user: str, public_key: str, allow_from: Iterable[str], port: int) -> str:
    """The script for one PC, ASCII only. public_key: one line, whose comment is dropped; allow_from: ranges, or LocalSubnet."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 (a script is not HTML; every text goes through `powershell`)
        loader=FileSystemLoader(ROOT / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["powershell"] = quoted
    return environment.get_template("bootstrap-windows.ps1.j2").render(
        host=host,
        user=user,
        public_key=" ".join([*public_key.split()[:2], "gpurig"]),
        allow_from=list(allow_from),
        port=port,
        installers=INSTALLERS,
    )


def quoted(text: str) -> str:
    """A text as PowerShell reads it back, in ASCII: Windows PowerShell takes a file without a mark for its own code page."""
    if any(ord(sign) < ord(" ") for sign in text):
        raise ValueError(f"{text!r} has a control character")
    if text.isascii():
        return f"'{text.replace(QUOTES[0], QUOTES[0] * 2)}'"
    units = text.encode("utf-16-le")
    codes = (int.from_bytes(units[place : place + 2], "little") for place in range(0, len(units), 2))
    return f"(-join [char[]]@({', '.join(map(str, codes))}))"
