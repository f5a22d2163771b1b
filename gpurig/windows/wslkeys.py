"""The keys of .wslconfig and what WSL makes of their values."""

from __future__ import annotations

import functools
import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("wslconfig.toml")

UNITS = {"": 1} | {
    unit: 1024**power for power, letter in enumerate("BKMGT") for unit in (letter, f"{letter}B" if power else "B")
}
"""Of a size, in capitals and without a blank."""

INTEGERS = range(-(2**31), 2**31)


@functools.cache
def keys() -> dict[str, dict[str, Any]]:
    """Every key that WSL knows, by section.key as it is written: see wslconfig.toml."""
    table = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {f"{section}.{key}": entry for section, found in table.items() for key, entry in found.items()}


@functools.cache
def names() -> dict[str, str]:
    names = {name.lower(): name for name in keys()}
    # Four keys were in [experimental] once; WSL still takes them there.
    return names | {f"experimental.{name[5:].lower()}": name for name, entry in keys().items() if entry.get("old")}


def known(name: str) -> str | None:
    return names().get(name.lower())


def meaning(name: str, value: str) -> bool | int | str | None:
    """What WSL makes of a value: sizes in bytes, words in lower case; None where it takes the default instead."""
    kind = keys()[name]["type"]
    if wrong(kind, value):
        return None
    if kind == "bool":
        return value.lower() in ("true", "1")
    if kind == "int":
        return _integer(value)
    if kind == "size":
        return _size(value)
    return value.lower() if isinstance(kind, list) else value


def wrong(kind: str | list[str], value: str) -> str:
    """Why WSL does not take a value; empty where it does."""
    if isinstance(kind, list):
        return "" if value.lower() in [word.lower() for word in kind] else f"write one of {', '.join(kind)}"
    try:
        taken = _taken(kind, value)
    except ValueError:
        taken = False
    return "" if taken else _EXAMPLES[kind]


def _taken(kind: str, value: str) -> bool:
    match kind:
        case "bool":
            return value.lower() in ("true", "false", "0", "1")
        case "int":
            return _integer(value) is not None
        case "size":
            return _size(value) is not None
        case "address":
            return isinstance(ipaddress.ip_address(value), ipaddress.IPv4Address)
        case "ports":
            return all(0 < int(port) < 2**16 for port in value.split(",") if port)
        case "mac":
            return bool(re.fullmatch(r"[0-9A-Fa-f]{2}([-:])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}", value))
    return True


_EXAMPLES = {
    "bool": "write true or false",
    "int": "write a whole number",
    "size": "write a number with B, KB, MB, GB or TB behind it, in capitals and without a blank, such as 24GB",
    "address": "write an IPv4 address",
    "ports": "write ports with commas between them",
    "mac": "write six pairs of hexadecimal digits with : between them",
}


def _integer(value: str) -> int | None:
    """As strtol with base 0 takes it: 0x10 is hexadecimal, 010 is octal."""
    found = re.fullmatch(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)", value, re.ASCII)
    if not found:
        return None
    digits = found[2]
    base = 16 if digits[:2].lower() == "0x" else 8 if digits[0] == "0" else 10
    number = int(found[1] + digits, base)
    return number if number in INTEGERS else None


def _size(value: str) -> int | None:
    """As strtoull with base 10 and then a unit."""
    found = re.fullmatch(r"(0|\s*[+-]?0*[1-9]\d*)([A-Z]{0,2})", value, re.ASCII)
    if not found or found[2] not in UNITS:
        return None
    number: int = int(found[1]) * UNITS[found[2]]
    return number % 2**64
