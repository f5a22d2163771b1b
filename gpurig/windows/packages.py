"""The pinned files of wsl.toml: Microsoft's package of WSL and the distributions, each with its SHA-256."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpurig.windows import questions
from gpurig.windows.actions import Action
from gpurig.windows.plan import Refusal
from gpurig.windows.state import MachineSection

DOWNLOADS = f"{questions.FOLDER}\\downloads"

MINIMUM = "2.4.4"
"""The first WSL that installs a distribution from a file (microsoft/WSL, `--install --from-file`)."""

ROOM = 4 * 10**9
"""Bytes of disk for a distribution of which nothing is known."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class File:
    """url: https://… or a path on the PC."""

    url: str
    sha256: str

    @property
    def path(self) -> str:
        """Where it lies on the PC once it is fetched; what is there already stays where it is."""
        return f"{DOWNLOADS}\\{self.url.rpartition('/')[2]}" if self.url.startswith("https://") else self.url


def msi(machine: MachineSection) -> tuple[str, File]:
    """The version of WSL that is pinned, and its package for this processor."""
    found = _pinned()["msi"]
    return found["version"], File(**found[_architecture(machine)])


def distributions() -> tuple[str, ...]:
    """Names of the pinned distributions."""
    return tuple(_pinned()["distributions"])


def distribution(name: str, machine: MachineSection) -> File | None:
    """The pinned file of a distribution for this processor; None where there is none."""
    found = _pinned()["distributions"].get(name)
    return File(**found[_architecture(machine)]) if found else None


def room(name: str) -> int:
    """Bytes of disk that a distribution takes once it is unpacked."""
    return int(_pinned()["distributions"].get(name, {}).get("room", ROOM))


def is_sha256(text: str) -> bool:
    """Whether a text can be a SHA-256, as sha256sum and Get-FileHash write it."""
    return bool(_SHA256.fullmatch(text.lower()))


def version(text: str) -> tuple[int, ...]:
    """`2.6.3` or `2.6.3.0` as four numbers, to compare; zeros for nothing. Raises ValueError."""
    numbers = [int(part) for part in text.split(".") if text]
    return tuple([*numbers, 0, 0, 0][:4])


def fetch(file: File, key: str) -> Action:
    """Have a file on the PC. key: of the entry, where the owner may give the url and sha256 of another one."""
    return Action(
        "file_fetch",
        {"url": file.url, "sha256": file.sha256.lower(), "path": file.path},
        says=f"fetch {file.url} and hold it against its SHA-256",
        key=key,
    )


def refusal(fetch: Action, message: str) -> Refusal:
    """What is to be said of a fetch that failed. message: of file_fetch.ps1, whose words for a wrong checksum are its own.

    Without a key where the file is not to blame.
    """
    if fetch.parameters["url"] not in message:
        return Refusal("", f"{fetch.says}: {message}")
    wrong = "sha256" if "its SHA-256 is" in message else "url"
    text = f"{message}. If you mean another file, write its url and sha256 under {fetch.key}"
    return Refusal(f"{fetch.key}.{wrong}", text)


@functools.cache
def _pinned() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("wsl.toml").read_text(encoding="utf-8"))


def _architecture(machine: MachineSection) -> str:
    return "arm64" if machine["architecture"].upper() == "ARM64" else "amd64"
