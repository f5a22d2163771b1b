"""The doctor's questions as one PowerShell file, for a PC that answers nobody: its user runs it and brings the answer back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gpurig.catalogue import ROOT
from gpurig.windows import wire
from gpurig.windows.state import SECTIONS

TEMPLATE = "doctor-windows.ps1.j2"

BREAKS = "'@"
"""At the beginning of a line it would end the string in which a script stands."""


def script(host: str, sections: Mapping[str, Mapping[str, Any]]) -> str:
    """The file's text, ASCII only: driver, library and the very scripts that are used over SSH, in readable form."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    names = [name for name in SECTIONS if name in sections]
    texts = {"driver": wire.script("driver"), "library": wire.script("library")}
    texts |= {name: wire.script(f"collect/{name}") for name in names}
    asked = json.loads(wire.request((), sections))["sections"]
    environment = Environment(  # noqa: S701 (no HTML)
        loader=FileSystemLoader(ROOT / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    found = environment.get_template(TEMPLATE).render(
        host=host,
        answer=answer_name(host),
        texts={name: _held(text) for name, text in texts.items()},
        sections=_held(json.dumps(asked, ensure_ascii=True, indent=1)),
    )
    return found.encode("ascii").decode("ascii")


def file_name(host: str) -> str:
    """Name of the script."""
    return f"doctor-{host}.ps1"


def answer_name(host: str) -> str:
    """Name of what it writes beside itself."""
    return f"doctor-{host}.json"


def _held(text: str) -> str:
    """A text as it can stand in a here-string. Raises ValueError where a script of ours would end it."""
    if any(line.startswith(BREAKS) for line in text.splitlines()):
        raise ValueError(f"a line begins with {BREAKS}")
    return text.rstrip("\n")
