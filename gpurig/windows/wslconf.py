"""/etc/wsl.conf of a distribution: read as WSL reads it, checked, and edited without losing what is the user's own."""

from __future__ import annotations

from gpurig.windows import configfile


def parse(text: str) -> dict[str, str]:
    """What is in force: section.key in lower case → value. Reading ends at the first malformed line, as WSL's own does."""
    found: dict[str, str] = {}
    for entry in configfile.read(text, windows=False).entries:
        found.setdefault(entry.name, entry.value)
    return found
