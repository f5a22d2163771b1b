"""A PyTorch RPC worker and the far half of its clients, as one service. Installed by role services; see docs/services.md.

PyTorch RPC has no login and its messages are pickles: who reaches one of its ports runs any code here. So its whole world is on this
host, in a network namespace of its own where that is allowed. Clients come over SSH to a Unix socket that only this user can open, and
say frames.py's plain frames. A client that goes away in the middle ends nothing but its own connection.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import socketserver
import sys
import threading
from pathlib import Path
from typing import Any

import namespace

RUN = Path("/run/gpurig/rpc")
OWN = Path.home() / "gpurig" / "rpc_functions.py"
WORKER, FAR_HALF = "worker", "far-half"
SAID = 2000
"""The most characters of an error that are told."""
DIE_WITH_PARENT = 1
"""prctl's PR_SET_PDEATHSIG."""


def join(name: str, rank: int) -> None:
    """Become a member of the world of two."""
    from torch.distributed import rpc

    # One listener each instead of seventeen, and a file instead of a store that listens everywhere.
    options = rpc.TensorPipeRpcBackendOptions(
        init_method=f"file://{RUN}/world", rpc_timeout=0, _transports=["uv"], _channels=["basic"]
    )
    rpc.init_rpc(name, rank=rank, world_size=2, rpc_backend_options=options)


def run(name: str, tensors: list[Any], options: dict[str, Any]) -> list[Any] | str:
    """Runs in the worker: call one of the functions. Tensors that were kept come as remote references.

    What goes wrong there comes back as a text, since PyTorch's own way of telling garbles many errors.
    """
    try:
        return _called(name, tensors, options)
    except Exception as error:  # noqa: BLE001 (whatever a function raises is the client's to know)
        return said(error)


def failure(kept: Any) -> str:
    """Runs in the worker: why there is nothing to keep; empty where there is."""
    value = kept.local_value()
    return value if isinstance(value, str) else ""


def _called(name: str, tensors: list[Any], options: dict[str, Any]) -> list[Any]:
    import torch
    from torch.distributed.rpc import PyRRef

    local = {key: value.local_value() if isinstance(value, PyRRef) else value for key, value in options.items()}
    unpacked = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in local.items()}
    result = functions()[name](*tensors, **unpacked)
    several = list(result) if isinstance(result, (list, tuple)) else [result]
    for one in several:
        if not isinstance(one, torch.Tensor):
            raise TypeError(f"{name} returned a {type(one).__name__}; a function returns a tensor, or several")
    return several


def functions() -> dict[str, Any]:
    """By name: ours, then the user's own."""
    found = dict(importlib.import_module("functions").FUNCTIONS)
    if OWN.exists():
        found.update(importlib.import_module("rpc_functions").FUNCTIONS)
    return found


class Client(socketserver.StreamRequestHandler):
    """One client's connection. What it keeps here is dropped when it goes."""

    wbufsize = 1 << 16

    def handle(self) -> None:
        import frames

        kept: list[Any] = []
        while True:
            try:
                frame = frames.read(self.rfile)
            except frames.BrokenError as error:
                frames.write(self.wfile, {"error": f"this is no frame: {error}"}, [])
                return
            if frame is None:
                return
            (RUN / "used").touch()
            try:
                answer = self._answer(*frame, kept)
            except Exception as error:  # noqa: BLE001 (whatever a function raises is the client's to know)
                answer = {"error": said(error)}, []
            try:
                frames.write(self.wfile, *answer)
            except ValueError as error:
                frames.write(self.wfile, {"error": said(error)}, [])

    def _answer(self, head: dict[str, Any], arrays: list[Any], kept: list[Any]) -> tuple[dict[str, Any], list[Any]]:
        import torch
        from torch.distributed import rpc

        name = head.get("call")
        if name not in functions():
            return {"error": f"no such function {name!r}; there are: {', '.join(sorted(functions()))}"}, []
        options = {
            key: kept[value["kept"]] if isinstance(value, dict) else value
            for key, value in head.get("options", {}).items()
        }
        asked = (name, [torch.from_numpy(array) for array in arrays], options)
        if head.get("keep"):
            there = rpc.remote(WORKER, run, args=asked)
            if problem := rpc.rpc_sync(WORKER, failure, args=(there,)):
                return {"error": problem}, []
            kept.append(there)
            return {"kept": len(kept) - 1}, []
        result = rpc.rpc_sync(WORKER, run, args=asked)
        return ({"error": result}, []) if isinstance(result, str) else ({}, [tensor.numpy() for tensor in result])


class Server(socketserver.ThreadingUnixStreamServer):
    """A thread per client."""

    daemon_threads = True


def main() -> None:
    """Run both processes until one of them ends; then the service is started anew as a whole."""
    problem = namespace.enter()
    os.environ.update(TP_SOCKET_IFNAME="lo", GLOO_SOCKET_IFNAME="lo")
    where = (
        "in a network namespace of its own" if not problem else f"on loopback, for all users of this host ({problem})"
    )
    print(f"PyTorch RPC listens {where}", flush=True)
    (RUN / "isolated").write_text("yes\n" if not problem else f"no: {problem}\n")
    (RUN / "world").unlink(missing_ok=True)
    (RUN / "socket").unlink(missing_ok=True)
    sys.path.append(str(OWN.parent))
    parent = os.getpid()
    if (worker := os.fork()) == 0:
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)
        join(WORKER, 0)
        signal.pause()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=end_with, args=(worker,), daemon=True).start()
    join(FAR_HALF, 1)
    Server(str(RUN / "socket"), Client).serve_forever()


def said(error: Exception) -> str:
    """What went wrong, in the error's own words."""
    words = str(error).strip()[:SAID]
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def end_with(worker: int) -> None:
    """Wait for the worker, then end this process as well."""
    _, status = os.waitpid(worker, 0)
    print(f"the worker ended ({os.waitstatus_to_exitcode(status)})", flush=True)
    os._exit(1)


if __name__ == "__main__":
    sys.modules["main"] = sys.modules["__main__"]  # functions travel by name, and both ends must mean the same module
    run.__module__ = failure.__module__ = "main"
    main()
