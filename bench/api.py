"""The inference API against plain uvicorn with FastAPI: the same model, the same machine, one process each, 32 clients on loopback.

Plain means: no login, no limits, no metrics, and the model is asked for one request at a time, in one thread as a GPU has it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gpurig.catalogue import ROOT

CLIENTS, SECONDS, ROUNDS = 32, 4.0, 3

SERVICE = """
import os
import time

from pydantic import BaseModel

NAME, MAX_BATCH = "bench", 64
FIXED, EACH = float(os.environ["BENCH_FIXED"]), float(os.environ["BENCH_EACH"])


class Request(BaseModel):
    values: list[float]


class Response(BaseModel):
    total: float


class Model:
    def predict(self, asked):
        if FIXED:
            time.sleep(FIXED + EACH * len(asked))
        return [Response(total=sum(one.values)) for one in asked]


def load():
    return Model()
"""

PLAIN = """
import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from fastapi import FastAPI

import service

app, model, thread = FastAPI(), service.load(), ThreadPoolExecutor(1)


@app.post("/predict")
async def predict(asked: service.Request) -> service.Response:
    return (await asyncio.get_running_loop().run_in_executor(thread, model.predict, [asked]))[0]


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
"""

MODELS = {
    "a model that costs nothing (what login, limits, metrics and batches cost)": ("0", "0"),
    "a model of 5 ms + 0.05 ms per request, as a small one on a GPU": ("0.005", "0.00005"),
}

BODY = b'{"values": [1.0, 2.0, 3.0]}'
TOKEN = "bench"  # noqa: S105 (lives for this measurement)


def main() -> None:
    """Print requests per second and the 99th percentile of both, and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        python = prepare(Path(folder))
        for what, (fixed, each) in MODELS.items():
            os.environ.update(BENCH_FIXED=fixed, BENCH_EACH=each, API_TOKEN=TOKEN)
            commands = {
                "gpurig": [python, str(Path(folder) / "api" / "main.py"), "{port}", str(Path(folder) / "service.py")],
                "plain": [python, str(Path(folder) / "plain.py"), "{port}"],
            }
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
            for _ in range(ROUNDS):  # in turns, so that the machine's other work disturbs both alike
                for name, command in commands.items():
                    with server(command) as port:
                        taken[name].append(asyncio.run(load(port)))
            print(f"\n{what}:")
            best = {name: (max(r for r, _ in runs), min(p for _, p in runs)) for name, runs in taken.items()}
            for name, (rate, tail) in best.items():
                print(f"  {name:8} {rate:8.0f} requests/s   p99 {tail * 1e3:7.1f} ms")
            ratios = [ours / theirs for ours, theirs in zip(best["gpurig"], best["plain"], strict=True)]
            print(f"  ratio    {ratios[0]:8.2f} ×            p99 {ratios[1]:7.2f} ×")


def prepare(folder: Path) -> str:
    """A virtual environment, and both servers. Returns its Python."""
    (folder / "service.py").write_text(SERVICE)
    (folder / "plain.py").write_text(PLAIN)
    files = ROOT / "roles/services/files"
    shutil.copytree(files / "api", folder / "api")
    shutil.copy(files / "guard.py", folder / "api")
    uv, python = str(Path(sys.executable).with_name("uv")), str(folder / "venv/bin/python")
    locked = f"--constraint={ROOT / 'environments/pytorch/requirements.lock'}"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    wanted = ["fastapi", "uvicorn", "prometheus-client"]
    subprocess.run([uv, "pip", "install", "--quiet", f"--python={python}", locked, *wanted], check=True)
    return python


@contextmanager
def server(command: list[str]) -> Iterator[int]:
    """Run one of them; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    process = subprocess.Popen([word.format(port=port) for word in command])
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait()


async def load(port: int) -> tuple[float, float]:
    """Requests per second, and the 99th percentile in seconds."""
    await clients(port, 1.0)  # warm
    started = time.perf_counter()
    taken = await clients(port, SECONDS)
    return len(taken) / (time.perf_counter() - started), statistics.quantiles(taken, n=100)[98]


async def clients(port: int, seconds: float) -> list[float]:
    """Seconds of every request that some clients make one after the other, each on a connection of its own."""
    end = time.perf_counter() + seconds
    found = await asyncio.gather(*(client(port, end) for _ in range(CLIENTS)))
    return [one for taken in found for one in taken]


async def client(port: int, end: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST /predict HTTP/1.1\r\nHost: b\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
    asked = head.encode() + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    taken = []
    while time.perf_counter() < end:
        started = time.perf_counter()
        writer.write(asked)
        lines = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in lines.partition(b"\r\n")[0]:
            sys.exit(f"bench: {lines.decode()}")
        await reader.readexactly(int(lines.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        taken.append(time.perf_counter() - started)
    writer.close()
    return taken
