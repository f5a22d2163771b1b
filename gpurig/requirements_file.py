"""What a requirements.txt asks for, as far as a lock with hashes can be made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from gpurig.errors import ConfigError

INCLUDES = {"-r": True, "--requirement": True, "-c": False, "--constraint": False}
"""Options of a requirements.txt that name another file: whether that holds requirements, or constraints."""

MIRRORS = "mirrors are settings of uv, and `--build` chooses CUDA"
EDITABLE = (
    "a folder has no hashes to lock. Name what it needs instead, and let the folder travel with your runs; or make the environment from "
    "its repository, with `--from URL@COMMIT`"
)
UNKNOWN = "uv decides that when it locks; take the line out"

INSTEAD = {
    **dict.fromkeys(("-e", "--editable"), EDITABLE),
    **dict.fromkeys(
        ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--trusted-host"), MIRRORS
    ),
}
"""Option of a requirements.txt that cannot be taken over → why, and what to do instead."""


def read(file: Path) -> tuple[list[str], list[str]]:
    """The requirements of a requirements.txt, with those of files that it includes, and its constraints.

    Raises ConfigError with every line that no lock with hashes can be made of.
    """
    wanted: list[str] = []
    constraints: list[str] = []
    problems: list[str] = []
    for place, line in _lines(file):
        option, value = _option(line)
        if option in INCLUDES:
            more, limits = read(file.parent / value.strip())
            (wanted if INCLUDES[option] else constraints).extend(more)
            constraints += limits
        elif line.startswith("-"):
            problems.append(f"{place}: {option} cannot be taken over: {INSTEAD.get(option, UNKNOWN)}.")
        elif problem := _objection(line):
            problems.append(f"{place}: {line!r} cannot be taken over: {problem}.")
        else:
            wanted.append(line)
    if problems:
        raise ConfigError("\n".join(problems))
    return wanted, constraints


def _option(line: str) -> tuple[str, str]:
    """Option and value of a line that begins with one: `--requirement=more.txt`, `-r more.txt` or `-rmore.txt`."""
    if line.startswith("--"):
        option, _, value = line.replace("=", " ", 1).partition(" ")
        return option, value
    return line[:2], line[2:]


def _objection(line: str) -> str:
    try:
        at_address = Requirement(line).url
    except InvalidRequirement as error:
        return str(error).splitlines()[0]
    return "a package at an address has no hashes to lock; name a version of it" if at_address else ""


def _lines(file: Path) -> Iterator[tuple[str, str]]:
    """Place and text of each line that says something, without comments and hashes."""
    if not file.is_file():
        raise ConfigError(f"{file}: there is no such file.")
    joined = re.sub(r"\\\n[ \t]*", " ", file.read_text(encoding="utf-8"))
    for number, line in enumerate(joined.splitlines(), 1):
        if text := re.sub(r"\s--hash[= ]\S+", "", re.sub(r"(^|\s)#.*", "", line)).strip():
            yield f"{file}, line {number}", text
