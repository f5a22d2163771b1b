"""Edits .wslconfig and wsl.conf without touching what is not ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from gpurig.windows.configfile import read


def edit(
    text: str,
    wanted: Mapping[str, Mapping[str, str]],
    *,
    windows: bool,
    names: Callable[[str], Sequence[str]] = lambda name: (name,),
    same: Callable[[str, str, str], bool] = lambda _name, one, other: one == other,
) -> str:
    """The text with these values in force; everything else stays, byte for byte. wanted: section → key → value.

    names: under which a key may be found; same: whether two values of a key mean the same, so that the user's way of writing stays.
    """
    for section, keys in wanted.items():
        for key, value in keys.items():
            name = f"{section}.{key}".lower()
            found = read(text, windows=windows).first(*(one.lower() for one in names(name)))
            if found is None:
                text = _added(text, section, f"{key}={written(value)}", windows)
            elif not same(name, found.value, value):
                text = text[: found.start] + written(value) + text[found.end :]
    return text


def written(value: str) -> str:
    """A value as it must be written to be read again."""
    for character, escape in (("\\", "\\\\"), ('"', '\\"'), ("\b", "\\b"), ("\n", "\\n"), ("\t", "\\t")):
        value = value.replace(character, escape)
    return f'"{value}"' if "#" in value or value != value.strip(" ") else value


def _added(text: str, section: str, line: str, windows: bool) -> str:
    """One more line: after the last key of the first such section, or in a new one at the end."""
    found = re.search(r"\r?\n", text)
    newline = found[0] if found else "\r\n" if windows else "\n"
    content = read(text, windows=windows)
    for index, header in enumerate(content.headers):
        if not header.valid or header.name != section.lower():
            continue
        end = content.headers[index + 1].begin if index + 1 < len(content.headers) else len(text)
        places = [entry.after for entry in content.entries if header.after <= entry.after <= end and entry.start < end]
        at = max([header.after, *(place for place in places if place > header.begin)])
        return _inserted(text, at, line + newline, newline)
    new = f"[{section}]{newline}{line}{newline}"
    valid = next((header.begin for header in content.headers if header.valid), None)
    if text.endswith("\\") and valid is not None:  # a new line behind it would revive a line that is dropped
        return text[:valid] + new + newline + text[valid:]
    stop = text.find("\x1a") if windows else -1  # where Windows' text mode ends
    at = len(text) if stop < 0 else stop
    gap = newline if text[:at].strip("\ufeff") and not text[:at].endswith(newline * 2) else ""
    if text[:at].endswith("\\"):
        gap += newline
    return _inserted(text, at, gap + new, newline)


def _inserted(text: str, at: int, line: str, newline: str) -> str:
    """Put whole lines at a place, which is behind a line end, at the start, or at the end of a text without a last line end."""
    open_end = at and text[at - 1] != "\n" and text[:at] != "\ufeff"
    if open_end or (at == len(text) and re.search(r"\\\r?\n\Z", text)):  # the last line goes on in the next
        line = newline + line
    return text[:at] + line + text[at:]
