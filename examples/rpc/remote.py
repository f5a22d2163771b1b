"""Calls functions on a host's GPU from this machine, through SSH: NumPy arrays go there and come back, and code never does.

    with Remote("home") as gpu:
        product = gpu.call("matmul", left, right)
        kept = gpu.keep("ones", rows=4096, columns=4096)      # stays there
        product = gpu.call("matmul", left, right=kept)

The host needs `services: [rpc]`. What it can do is in its rpc_functions.py; docs/services.md says how. Needs NumPy alone.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "roles/services/files/rpc"))
import frames  # the host has the same file

CONNECT = "/opt/gpurig/services/rpc/connect"


class RemoteError(Exception):
    """What went wrong there, in its own words."""


class Remote:
    """A connection to a host's RPC service. command: how to reach it, instead of `rig connect HOST`."""

    def __init__(self, host: str = "", command: Sequence[str] = ()) -> None:
        words = list(command) or ["rig", "connect", host, "--", CONNECT]
        try:
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        except FileNotFoundError as error:
            advice = 'run `export PATH="$PWD/.venv/bin:$PATH"` in the project\'s folder'
            raise RemoteError(f"there is no command {words[0]!r} here; {advice}") from error

    def call(self, name: str, *arrays: np.ndarray, **options: Any) -> Any:
        """Call a function there with arrays and options, and get its result: an array, or a list where it returns several.

        Raises RemoteError for what goes wrong there or on the way, ValueError for what cannot be sent; that ends no connection.
        """
        results = self._ask({"call": name, "options": options}, arrays)[1]
        return results[0] if len(results) == 1 else results

    def keep(self, name: str, *arrays: np.ndarray, **options: Any) -> dict[str, int]:
        """Call a function there and leave its result there; it can be given to `call` and `keep` as an option."""
        return {"kept": self._ask({"call": name, "options": options, "keep": True}, arrays)[0]["kept"]}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _ask(self, head: dict[str, Any], arrays: Sequence[np.ndarray]) -> tuple[dict[str, Any], list[np.ndarray]]:
        to, back = self._process.stdin, self._process.stdout
        if to is None or back is None or to.closed:
            raise RemoteError("the connection was closed; make another one")
        packed = frames.pack(head, list(arrays))
        try:
            frames.send(to, packed)
            answer = frames.read(back)
        except (BrokenPipeError, frames.BrokenError):
            answer = None
        except BaseException:  # such as Ctrl-C: the answer to come would be taken for that to the next call
            self._process.kill()
            self._close()
            raise
        if answer is None:
            self._close()
            ended = f"the connection ended (exit code {self._process.returncode})"
            raise RemoteError(f"{ended}; `rig services` in the project's folder shows whether the service rpc runs")
        if "error" in answer[0]:
            raise RemoteError(answer[0]["error"])
        return answer

    def _close(self) -> None:
        if self._process.stdin:
            with suppress(BrokenPipeError):  # the far end went first
                self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
