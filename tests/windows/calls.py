"""What each PowerShell script does and answers, as it is written there: tables that a test compares with the scripts.

`python -m tests.windows.calls` writes the tables in model/calls anew. The words that a script throws are not in them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from gpurig.windows import at_the_pc, bootstrap, wire
from tests.windows import effects
from tests.windows.model.at_the_pc import TEXTS

TABLES = Path(__file__).parent / "model" / "calls"
"""What each twin stands for: exactly this of its script, in this order, behind these conditions."""

BY_HAND = ("bootstrap", "doctor")
"""Scripts that the PC's owner starts. They are made from templates/; the others lie in gpurig/windows/powershell/."""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOmRsB2qsKkN2IdJjFFmfOfOXtf4qazKV8NdEXHNvqVv"


def names() -> list[str]:
    """All scripts: those of wire.script() as it calls them, and those that are started by hand."""
    packed = (path.relative_to(wire.FOLDER).with_suffix("").as_posix() for path in wire.FOLDER.rglob("*.ps1"))
    return sorted([*packed, *BY_HAND])


@cache
def script(name: str) -> str:
    """A script's text. The doctor's has no more than the names of those it carries."""
    if name == "bootstrap":
        return bootstrap.render(host="home", user="me", public_key=KEY, allow_from=("192.168.1.0/24",), port=2200)
    if name == "doctor":
        return TEXTS.sub(r"$scripts['\1'] = '...'", at_the_pc.script("home", {}))
    return wire.script(name)


def calls(text: str) -> list[effects.Call]:
    """The calls of a script's text that can change something or start a program, in their order."""
    return effects.Script(text).calls()


def told(text: str) -> list[str]:
    """Lines of a table for a script's text: its calls, its answers, and all that these depend on."""
    return [f"  {line}" for line in effects.Script(text).lines()]


@cache
def without_comments(text: str) -> str:
    """A script's text, but for what it says to people who read it."""
    return effects.without_comments(text)


def table(script: str) -> Path:
    """The file that a script stands in."""
    return TABLES / f"{script.partition('/')[0]}.txt"


def golden() -> dict[str, list[str]]:
    """Script → its lines in the tables."""
    parts = [part.splitlines() for path in TABLES.iterdir() for part in path.read_text(encoding="ascii").split("\n\n")]
    return {part[0]: part[1:] for part in parts}


def _write() -> None:
    parts: dict[Path, list[str]] = {}
    for name in names():
        parts.setdefault(table(name), []).append("\n".join([name, *told(script(name))]))
    for path, texts in parts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n\n".join(texts) + "\n", encoding="ascii")


if __name__ == "__main__":
    _write()
