"""What a client and the far half say to each other: a line of JSON, then arrays in NumPy's own format. No pickles.

A request: {"call": function, "options": {…}, "arrays": count, "keep": true|false}, where an option {"kept": n} stands for a result
that was kept there. An answer: {"arrays": count}, {"kept": n}, or {"error": text}. Both ends use this file.
"""

from __future__ import annotations

import json
from typing import IO, Any

import numpy as np
from numpy.lib import format as form

LINE_BYTES, ARRAYS = 1 << 16, 64
"""The longest line, and the most arrays with it."""


class BrokenError(Exception):
    """What came is no frame."""


Packed = tuple[bytes, list[tuple[np.ndarray, memoryview]]]
"""The line, and each array with what it holds."""


def pack(head: dict[str, Any], arrays: list[np.ndarray]) -> Packed:
    """A frame, ready to be sent. Raises ValueError for what cannot be sent, before anything of it was."""
    if len(arrays) > ARRAYS:
        raise ValueError(f"{len(arrays)} arrays are too many for one call: {ARRAYS} at most")
    try:
        line = json.dumps({**head, "arrays": len(arrays)}).encode() + b"\n"
    except TypeError as error:
        raise ValueError(f"an option cannot be sent: {error}; numbers, texts, lists and maps can") from error
    if len(line) > LINE_BYTES:
        raise ValueError(
            f"the options are too long: {len(line)} bytes, {LINE_BYTES} at most; give large things as arrays"
        )
    return line, [(array, _bytes(array)) for array in (np.asarray(one, order="C") for one in arrays)]


def write(stream: IO[bytes], head: dict[str, Any], arrays: list[np.ndarray]) -> None:
    """Send one frame. Raises ValueError, with nothing sent, for what cannot be."""
    send(stream, pack(head, arrays))


def send(stream: IO[bytes], packed: Packed) -> None:
    """Send a frame that was packed."""
    line, arrays = packed
    stream.write(line)
    for array, content in arrays:  # NumPy's own function asks pipes where they stand, and they cannot tell
        form.write_array_header_2_0(stream, form.header_data_from_array_1_0(array))
        stream.write(content)
    stream.flush()


def read(stream: IO[bytes]) -> tuple[dict[str, Any], list[np.ndarray]] | None:
    """The next frame; None at the end. Raises BrokenError."""
    line = stream.readline(LINE_BYTES)
    if not line:
        return None
    try:
        head = json.loads(line)
        count = head["arrays"]
        if not isinstance(count, int) or not 0 <= count <= ARRAYS:
            raise BrokenError(f"{count!r} arrays")
        return head, [_receive(stream) for _ in range(count)]
    except (ValueError, KeyError, TypeError, EOFError, MemoryError) as error:
        raise BrokenError(str(error) or type(error).__name__) from error


def _bytes(array: np.ndarray) -> memoryview:
    """What an array holds."""
    if array.dtype.hasobject:
        raise ValueError("an array of Python objects would be a pickle, and none are sent")
    return memoryview(array).cast("B") if array.size else memoryview(b"")


def _receive(stream: IO[bytes]) -> np.ndarray:
    if form.read_magic(stream) != (2, 0):
        raise BrokenError("this is no array in NumPy's format 2.0")
    shape, fortran, dtype = form.read_array_header_2_0(stream)
    if fortran or dtype.hasobject:
        raise BrokenError(f"an array of {dtype} is not taken")
    array = np.empty(shape, dtype)
    left = memoryview(array).cast("B") if array.size else memoryview(b"")
    while left:
        piece = stream.readinto(left)  # type: ignore[attr-defined]  # both ends read with a buffer
        if not piece:
            raise EOFError("the connection ended within an array")
        left = left[piece:]
    return array
