"""SHA-256 manifests: which files with which content, in the format of `sha256sum`."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from gpurig.errors import RigError
from gpurig.ignore import Entry
from gpurig.stack import write_private

Manifest = dict[str, str]
"""Path relative to some folder, with `/` → SHA-256 in hexadecimal."""

SETTLED_SECONDS = 2.0
"""A file that changed so recently may change again without its time or size telling, so its hash is not kept."""

BATCH = 500
"""Files that one thread hashes before it looks for more; a thread per file costs more than it saves."""

_LINE = re.compile(r"(\\?)([0-9a-f]{64}) [ *](.+)")


def dump(manifest: Mapping[str, str]) -> str:
    """The manifest as `sha256sum --check` reads it."""
    return "".join(_line(path, digest) for path, digest in manifest.items())


def parse(text: str) -> Manifest:
    """The manifest that `sha256sum` wrote. Raises RigError for a line that is none of its."""
    found: Manifest = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise RigError(f"Not a line of a SHA-256 manifest: {line[:100]!r}")
        path = match[3]
        if match[1]:
            path = re.sub(r"\\(.)", lambda escape: {"n": "\n", "r": "\r"}.get(escape[1], escape[1]), path)
        found[path.removeprefix("./")] = match[2]
    return found


def of_folder(root: Path, paths: Iterable[str]) -> Manifest:
    """Hash these files of a folder, several at once. A file that is not there is left out."""
    wanted = list(paths)
    parts = [wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)]
    with ThreadPoolExecutor(max_workers=_workers()) as pool:
        hashed = pool.map(lambda part: [(path, _digest(f"{root}/{path}")) for path in part], parts)
        return {path: digest for part in hashed for path, digest in part if digest}


def differing(root: Path, manifest: Mapping[str, str]) -> list[str]:
    """The paths of the manifest that are missing in the folder or have another content there."""
    here = of_folder(root, manifest)
    return [path for path, digest in manifest.items() if here.get(path) != digest]


class Cache:
    """Hashes of a folder's files, kept while size, time and inode stay the same."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[int | str]] = {}
        with suppress(OSError, ValueError):
            self._known = json.loads(file.read_text(encoding="utf-8"))

    def hashes(self, root: Path, entries: Iterable[Entry], given: Mapping[str, str] | None = None) -> Manifest:
        """The hashes of these entries that are files, from `given` or the cache where they can tell, in their order."""
        files = [entry for entry in entries if entry.kind == "file"]
        given = given or {}
        unknown = [
            entry.path
            for entry in files
            if entry.path not in given and self._known.get(entry.path, [])[:3] != _mark(entry)
        ]
        fresh = {**of_folder(root, unknown), **given}
        missing = set(unknown) - set(fresh)  # they vanished meanwhile
        now = time.time_ns()
        known: dict[str, list[int | str]] = {}
        result: Manifest = {}
        for entry in files:
            if entry.path in missing:
                continue
            digest = fresh.get(entry.path) or str(self._known[entry.path][3])
            result[entry.path] = digest
            if now - entry.mtime_ns > SETTLED_SECONDS * 1e9:
                known[entry.path] = [*_mark(entry), digest]
        self._known = known
        return result

    def save(self) -> None:
        """Keep what is known for the next time."""
        write_private(self._file, json.dumps(self._known, separators=(",", ":")))


def _mark(entry: Entry) -> list[int | str]:
    return [entry.size, entry.mtime_ns, entry.inode]


def _line(path: str, digest: str) -> str:
    escaped = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    return f"{'' if escaped == path else chr(92)}{digest}  {escaped}\n"


def _digest(path: str) -> str | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 (a Path for each of many thousand files is slow)
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RigError(f"{path} cannot be read: {error.strerror}.") from error


def _workers() -> int:
    return min(8, os.cpu_count() or 1)
