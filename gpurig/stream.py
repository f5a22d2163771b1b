"""Many small new files to a host in one stream, hashed while they are read here and while they are written there.

rsync takes several times as long for these: it asks and answers for each. What is changed, large or resumed is rsync's.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from gpurig.manifest import Manifest

SMALL_BYTES = 1 << 16
"""Up to this size a file is small."""

WORTH = 200
"""Fewer files than these are left to rsync."""

BATCH_BYTES = 1 << 20


def send(command: list[str], root: Path, paths: Iterable[str]) -> tuple[Manifest, bytes]:
    """Send files to `far_end.receive`, which the command runs. Returns the hashes of what was sent, and its answer.

    A file that is gone meanwhile is left out. The answer is empty where the connection broke.
    """
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None  # noqa: S101 (for the type checker)
        assert process.stdout is not None  # noqa: S101
        sent = _feed(process.stdin, root, paths)
        answer = process.stdout.read()
    return sent, answer if process.returncode == 0 else b""


def _feed(pipe: IO[bytes], root: Path, paths: Iterable[str]) -> Manifest:
    sent: Manifest = {}
    try:
        with pipe:
            for heading, contents in _batches(root, paths):
                pipe.write(json.dumps(heading).encode() + b"\n")
                pipe.writelines(contents)
                sent.update((path, digest) for path, _, _, _, digest in heading)
    except BrokenPipeError:
        return {}
    return sent


def _batches(root: Path, paths: Iterable[str]) -> Iterator[tuple[list[tuple[str, int, int, int, str]], list[bytes]]]:
    heading: list[tuple[str, int, int, int, str]] = []
    contents: list[bytes] = []
    size = 0
    for path in paths:
        try:
            with open(f"{root}/{path}", "rb") as file:  # noqa: PTH123 (a Path for each of many files is slow)
                about = os.fstat(file.fileno())
                data = file.read()
        except FileNotFoundError:
            continue
        heading.append(
            (path, len(data), stat.S_IMODE(about.st_mode), about.st_mtime_ns, hashlib.sha256(data).hexdigest())
        )
        contents.append(data)
        size += len(data)
        if size >= BATCH_BYTES:
            yield heading, contents
            heading, contents, size = [], [], 0
    if heading:
        yield heading, contents
