"""Paths of folders on a Windows PC, as text."""

from __future__ import annotations

import re

_ABSOLUTE = re.compile(r"[A-Za-z]:\\[^<>:\"/|?*]*")


def mistake(path: str) -> str:
    """Why this is no folder for a distribution; empty where it is one."""
    if _ABSOLUTE.fullmatch(path) and len(path.rstrip("\\")) > len("D:"):
        return ""
    return f"found {path!r}; write a whole path such as D:\\WSL\\Ubuntu"


def same(path: str, other: str) -> bool:
    """Whether two paths are one folder; Windows does not look at letters' case."""
    return path.rstrip("\\").lower() == other.rstrip("\\").lower()


def drive(path: str) -> str:
    """The drive's letter."""
    return path[:1].upper()
