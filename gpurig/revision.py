"""Which state of a project a run used, as git knows it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

DIFF_BYTES = 10_000_000
"""A longer diff is cut, and says so."""


@dataclass(frozen=True, slots=True)
class Revision:
    """commit: None where there is no git or no commit yet. diff: what differs from it in tracked files.

    untracked: files that git does not know and does not ignore.
    """

    commit: str | None = None
    branch: str | None = None
    diff: str = ""
    untracked: tuple[str, ...] = ()


def of_folder(folder: Path) -> Revision:
    """The revision of a folder; an empty one where git cannot tell."""
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return Revision()
    diff = _git(folder, "diff", "--relative", "HEAD", "--", ".") or ""
    if len(diff) > DIFF_BYTES:
        diff = f"{diff[:DIFF_BYTES]}\n… cut by gpurig: the whole diff has {len(diff)} characters\n"
    untracked = _git(folder, "ls-files", "--others", "--exclude-standard", "-z", "--", ".") or ""
    return Revision(
        commit=commit.strip(),
        branch=(_git(folder, "symbolic-ref", "--quiet", "--short", "HEAD") or "").strip() or None,
        diff=diff,
        untracked=tuple(filter(None, untracked.split("\0"))),
    )


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
