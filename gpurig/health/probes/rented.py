"""A rented machine before it is accepted: nvidia-smi's answer in short, CUDA, and what else was paid for.

    python3 - [ADDRESS]

Prints one line of JSON with the sections `devices` and `cuda` of a recording, of `smi` the fields and the query alone, and

    disk        "size": 53687091200, "free": 49392123904      bytes of the file system on which our files will lie
    link        "speed": 940.2, "problem": ""                 Mbit/s at which ADDRESS sends; only where it is given
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from gpurig.health.probes import cuda, machine, smi

SMI_SECONDS = 60.0
"""Right after its start, a machine with eight large GPUs takes long to answer."""

LINK_SECONDS = 4

SECONDS = SMI_SECONDS + 2 * cuda.SECONDS + 4 * LINK_SECONDS
"""The most that all readings take."""


def main(link: str = "") -> None:
    """Take all readings."""
    fields, query = smi.query(smi.program(), list(smi.KNOWN_TO_ALL), SMI_SECONDS)
    found = {
        "smi": {"fields": fields, "query": query},
        "devices": machine.devices(),  # after nvidia-smi, which makes their nodes
        "cuda": cuda.readings(),
        "disk": disk(),
    }
    if link:
        found["link"] = download(link)
    print(json.dumps(found))  # noqa: T201 (this is the answer)


def disk() -> dict[str, int]:
    """Of ~/gpurig where there is one, as on a volume, else of the home folder."""
    ours = Path.home() / "gpurig"
    about = os.statvfs(ours if ours.exists() else Path.home())
    return {"size": about.f_blocks * about.f_frsize, "free": about.f_bavail * about.f_frsize}


def download(address: str) -> dict[str, Any]:
    """Mbit/s at which an address sends, over a few seconds."""
    try:
        with urllib.request.urlopen(address, timeout=LINK_SECONDS * 2) as answer:  # noqa: S310 (the user's own address)
            start, size = time.monotonic(), 0
            while time.monotonic() < start + LINK_SECONDS:
                part = answer.read(1 << 18)
                if not part:
                    break
                size += len(part)
            return {"speed": size * 8 / 1e6 / max(time.monotonic() - start, 1e-3), "problem": ""}
    except OSError as error:
        return {"speed": 0.0, "problem": str(error)}


if __name__ == "__main__":
    main(*sys.argv[1:])
