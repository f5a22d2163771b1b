"""New files to a host in one stream, hashed while they are read here and while they are written there.

rsync asks and answers for each of many small files, and what it brings must be read once more to be verified. What is
changed, or was left half way by a broken connection, is rsync's: it sends differences only.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from gpurig.ignore import Entry
from gpurig.manifest import Manifest
from gpurig.rsync import Progress

SMALL_BYTES = 1 << 16
"""Up to this size files travel in batches, with their hashes before them; larger ones alone, with the hash behind."""

WORTH_FILES, WORTH_BYTES = 200, 16_000_000
"""Fewer new files than these, and less of them, are left to rsync."""

CHUNK, PIPE_BYTES, BATCH_FILES = 1 << 18, 1 << 20, 256
"""A chunk is hashed and sent while it is in the processor's cache."""

Heading = tuple[str, int, int, int, str | None]
"""Path, size, mode, time in ns, SHA-256: what `far_end.receive` is told about a file."""


def worth(entries: Sequence[Entry]) -> bool:
    """Whether these new files are enough for a stream of their own."""
    return len(entries) >= WORTH_FILES or sum(entry.size for entry in entries) >= WORTH_BYTES


def send(command: list[str], root: Path, entries: Sequence[Entry], progress: Progress | None) -> tuple[Manifest, bytes]:
    """Send files to `far_end.receive`, which the command runs. Returns the hashes of what was sent, and its answer.

    A file that is gone meanwhile is left out. The answer is empty where the connection broke.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, pipesize=PIPE_BYTES) as process:
        assert process.stdin is not None  # noqa: S101 (for the type checker)
        assert process.stdout is not None  # noqa: S101 (for the type checker)
        sent: Manifest = {}
        meter = _Meter(sum(entry.size for entry in entries), progress)
        try:
            with process.stdin as target:
                for heading, contents in _batches(root, [e for e in entries if e.size <= SMALL_BYTES]):
                    target.write(json.dumps(heading).encode() + b"\n")
                    target.writelines(contents)
                    sent.update((path, digest) for path, _, _, _, digest in heading if digest)
                    meter.count(sum(map(len, contents)))
                for entry in entries:
                    if entry.size > SMALL_BYTES:
                        _send_large(target, root, entry.path, sent, meter)
        except BrokenPipeError:
            sent = {}
        answer = process.stdout.read()
    return sent, answer if process.returncode == 0 else b""


class _Meter:
    """Tells how far a transfer is, a few times a second."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress = max(total, 1), progress
        self._done, self._started, self._told = 0, time.monotonic(), 0.0

    def count(self, size: int) -> None:
        self._done += size
        now = time.monotonic()
        if self._progress and now - self._told > 0.2:  # noqa: PLR2004 (seconds)
            speed = self._done / max(now - self._started, 1e-3) / 1e6
            self._progress(min(self._done / self._total, 1.0), f"{speed:.0f} MB/s")
            self._told = now


def _batches(root: Path, entries: Sequence[Entry]) -> Iterator[tuple[list[Heading], list[bytes]]]:
    headings: list[Heading] = []
    contents: list[bytes] = []
    for entry in entries:
        try:
            with open(f"{root}/{entry.path}", "rb") as file:  # noqa: PTH123 (a Path for each of many files is slow)
                about = os.fstat(file.fileno())
                data = file.read()
        except FileNotFoundError:
            continue
        digest = hashlib.sha256(data).hexdigest()
        headings.append((entry.path, len(data), stat.S_IMODE(about.st_mode), about.st_mtime_ns, digest))
        contents.append(data)
        if len(headings) == BATCH_FILES:
            yield headings, contents
            headings, contents = [], []
    if headings:
        yield headings, contents


def _send_large(target: IO[bytes], root: Path, path: str, sent: Manifest, meter: _Meter) -> None:
    """Send one file in chunks. One that shrinks meanwhile is filled up, so that its hash tells."""
    total = hashlib.sha256()
    try:
        file = (root / path).open("rb", buffering=0)
    except FileNotFoundError:
        return
    with file:
        about = os.fstat(file.fileno())
        heading: Heading = (path, about.st_size, stat.S_IMODE(about.st_mode), about.st_mtime_ns, None)
        target.write(json.dumps([heading]).encode() + b"\n")
        buffer = memoryview(bytearray(CHUNK))
        left = about.st_size
        while left:
            size = file.readinto(buffer[: min(left, CHUNK)]) or 0
            total.update(buffer[:size])
            if not size:
                size, buffer = min(left, CHUNK), memoryview(bytearray(CHUNK))
            target.write(buffer[:size])
            left -= size
            meter.count(size)
    target.write(total.hexdigest().encode() + b"\n")
    sent[path] = total.hexdigest()
