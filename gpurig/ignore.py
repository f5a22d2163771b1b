"""Which files of a project travel to a host: all but what `.rigignore` files leave out, by gitignore's own rules.

A pattern is matched against one path component's full path at a time, as git does, and never against what lies under
a match; pathspec matches both at once and so brings back files that git leaves out (`*.csv` with `!kept/`).
tests/unit/test_ignore.py compares this with git itself.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpurig.errors import ConfigError

IGNORE_FILE = ".rigignore"

ALWAYS = frozenset({".git", ".gpurig"})
"""Never travels: git's own store, and the folder where a host keeps what it knows of earlier syncs."""

USUALLY = frozenset({
    ".DS_Store", ".cache", ".ipynb_checkpoints", ".mypy_cache", ".nox", ".pytest_cache", ".ruff_cache", ".tools", ".tox",
    ".venv", "__pycache__", "node_modules", "venv",
})  # fmt: skip
"""Names that do not travel unless a `.rigignore` says so, for example with `!venv/`."""

_SPECIAL = re.compile(r"/\*\*/|^\*\*/|/\*\*$|\*+|\?|\[[!^]?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\\.|.", re.DOTALL)
_CLASSES = {"[:alpha:]": "a-zA-Z", "[:digit:]": "0-9", "[:alnum:]": "a-zA-Z0-9", "[:space:]": r"\s"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, link, or empty folder (its path ends in `/`), by its path relative to the project, with `/`.

    kind: "file", "link" or "folder". link: where a link points; the numbers are a file's.
    """

    path: str
    kind: str
    size: int = 0
    mtime_ns: int = 0
    mode: int = 0
    inode: int = 0
    link: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern line."""

    regex: re.Pattern[str]
    negated: bool
    folders_only: bool


def scan(root: Path) -> list[Entry]:
    """Everything under `root` that travels, in a stable order. Raises ConfigError for what cannot be read."""
    return list(_walk(str(root), "", []))


def is_ignored(root: Path, path: str) -> bool:
    """Whether a file that may not exist would be left out; `path` is relative to the project, with `/`."""
    folders = path.split("/")[:-1]
    rules: list[tuple[str, list[Rule]]] = []
    base = ""
    for name in [*folders, ""]:
        rules = _with_rules(str(root), base, rules)
        current = f"{base}{name}" if name else path
        if _ignored(current, current.rpartition("/")[2], bool(name), rules):
            return True
        base = f"{current}/"
    return False


def parse(text: str) -> list[Rule]:
    """The rules of an ignore file's text."""
    return [rule for rule in map(_rule, text.splitlines()) if rule]


def _walk(root: str, base: str, rules: list[tuple[str, list[Rule]]]) -> Iterator[Entry]:
    try:
        found = sorted(os.scandir(f"{root}/{base}"), key=lambda item: item.name)
    except OSError as error:
        raise ConfigError(
            f"{root}/{base} cannot be read ({error.strerror}); or leave it out in {IGNORE_FILE}."
        ) from error
    rules = _with_rules(root, base, rules)
    empty = True
    for item in found:
        path = base + item.name
        is_folder = item.is_dir(follow_symlinks=False)
        if _ignored(path, item.name, is_folder, rules):
            continue
        empty = False
        if is_folder:
            yield from _walk(root, f"{path}/", rules)
        elif item.is_symlink():
            yield Entry(path, "link", link=str(Path(item.path).readlink()))
        elif item.is_file(follow_symlinks=False):
            about = item.stat(follow_symlinks=False)
            mode = stat.S_IMODE(about.st_mode)
            yield Entry(path, "file", about.st_size, about.st_mtime_ns, mode, about.st_ino)
    if empty and base:
        yield Entry(base, "folder")


def _with_rules(root: str, base: str, rules: list[tuple[str, list[Rule]]]) -> list[tuple[str, list[Rule]]]:
    """The rules that hold inside a folder: those of the folders above, and of its own ignore file."""
    try:
        with open(f"{root}/{base}{IGNORE_FILE}", encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 (a Path per folder is slow)
            return [*rules, (base, parse(file.read()))]
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return rules


def _ignored(path: str, name: str, is_folder: bool, rules: list[tuple[str, list[Rule]]]) -> bool:
    """The last rule that matches decides, and a deeper file's rules come after those above it."""
    if name in ALWAYS:
        return True
    for base, of_file in reversed(rules):
        inside = path[len(base) :]
        for rule in reversed(of_file):
            if (is_folder or not rule.folders_only) and rule.regex.fullmatch(inside):
                return not rule.negated
    return name in USUALLY


def _rule(line: str) -> Rule | None:
    line = re.sub(r"(?<!\\) +$", "", line)
    if not line or line.startswith("#"):
        return None
    negated = line.startswith("!")
    pattern = line.removeprefix("!")
    folders_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    anchored = "/" in pattern
    pattern = re.sub(r"(^|/)(\*\*/)+", r"\1**/", pattern)
    pattern = pattern.removeprefix("/")
    regex = ".+" if pattern == "**" else "".join(map(_translated, _SPECIAL.findall(pattern)))
    try:
        return Rule(re.compile(regex if anchored else f"(?:.*/)?{regex}", re.DOTALL), negated, folders_only)
    except re.error:
        return None  # git, too, lets a pattern that is not well-formed match nothing


def _translated(piece: str) -> str:
    fixed = {"/**/": "/(?:.*/)?", "**/": "(?:.*/)?", "/**": "/.+", "?": "[^/]"}
    if piece in fixed:
        return fixed[piece]
    if piece.startswith("*"):
        return "[^/]*"
    if piece.startswith("[") and len(piece) > 1:
        inside = piece[1:-1]
        negated = inside[:1] in ("!", "^")
        inside = inside[1:] if negated else inside
        for name, letters in _CLASSES.items():
            inside = inside.replace(name, letters)
        inside = inside.replace("[", r"\[").replace("]", r"\]").replace("^", r"\^")
        return f"(?!/)[{'^' if negated else ''}{inside}]"
    return re.escape(piece[-1])
