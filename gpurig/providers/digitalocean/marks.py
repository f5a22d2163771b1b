"""How a droplet carries its mark: in a tag that can be read, and once more in its name.

Tags have letters, digits, `:`, `-` and `_`, up to 255 characters, and their case is that of whoever used them first. They are put on
after the droplet is made, dropped where one of them is not allowed, and shown only to a token with `tag:read`. A name is there
from the first moment; it is also the machine's host name, so its first part is for people, and the rest is the mark in base 32.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Any

from gpurig.providers import Owner, read_mark

TAG = "gpurig"
"""The tag of everything that is ours."""

TAG_LIMIT = 255
NAME_LIMIT = 253
PART_LIMIT = 63
"""Characters of a tag, of a host name, and of each of its parts."""


def tag(mark: str) -> str | None:
    """A mark as a tag: dots become colons, a capital has `_` before it, `_` is doubled. None where it does not fit."""
    made = re.sub(r"[A-Z_]", lambda found: "_" + found[0].lower(), mark).replace(".", ":")
    return made if len(made) <= TAG_LIMIT and re.fullmatch(r"[a-z0-9:_-]+", made) else None


def name(host: str, generation: int, mark: str) -> str | None:
    """A host name that carries a mark. None where it does not fit."""
    code = base64.b32encode(mark.encode()).decode().rstrip("=").lower()
    parts = [code[start : start + PART_LIMIT] for start in range(0, len(code), PART_LIMIT)]
    made = ".".join([f"{host}-{generation}", *parts])
    return made if len(made) <= NAME_LIMIT else None


def read(droplet: dict[str, Any]) -> tuple[Owner, int, str] | None:
    """Whose a droplet is, by its tags, else by its name; None where it is not ours."""
    return next(filter(None, map(read_mark, _marks(droplet))), None)


def _marks(droplet: dict[str, Any]) -> Iterable[str]:
    """The texts that may be a mark."""
    for written in droplet.get("tags") or []:
        plain = re.sub(r"_([a-z_])", lambda found: found[1].upper(), written.lower()).replace(":", ".")
        if tag(plain) == written.lower():
            yield plain
    code = "".join(droplet.get("name", "").split(".")[1:]).upper()
    try:
        yield base64.b32decode(code + "=" * (-len(code) % 8)).decode()
    except ValueError:  # not base 32, or not text: another's name
        return
