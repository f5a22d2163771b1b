"""A host's recording: what the probes say there. Verification judges it, and `rig verify --capture` keeps it."""

from __future__ import annotations

import base64
import json
import shlex
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gpurig.health import layers, recording, thresholds
from gpurig.health.finding import Wanted
from gpurig.health.probes import script
from gpurig.host import Capabilities, Host

ENVIRONMENTS = "/opt/gpurig/environments"

QUICK_SECONDS, CUDA_SECONDS, TORCH_SECONDS = 100, 130, 480
"""After which a probe is given up. They limit what may hang by themselves, and so mostly end before."""

WITHOUT_TORCH = (
    "no environment with PyTorch is installed on this host; add one, such as `pytorch`, to its `environments`"
)
KEEPING = ("api", "jupyter", "lupine", "nanochat", "rpc")
"""Services whose programs may keep memory of the GPU for as long as they run."""

LEFT_OUT = "it takes longer than --quick allows"

Shell = Callable[[str], tuple[int, str, str]]
"""Runs a shell command on the host as root: exit code, output, errors."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where readings are taken.

    run: as root. as_user: turns a command into one of the login user's, who uses the GPU. gpu: whether there should be one.
    environments: those of the host, the first with PyTorch is the one that is used.
    """

    run: Shell
    as_user: Callable[[str], str]
    gpu: bool
    environments: Sequence[str] = ()


def quick(place: Place) -> dict[str, Any]:
    """What takes seconds: all but what needs PyTorch, which is noted as left out."""
    found: dict[str, Any] = {"schema": recording.SCHEMA}
    if place.gpu:
        found |= _sections(place, "machine", "devices,smi,kernel_log", seconds=QUICK_SECONDS)
        found["cuda"] = _cuda(place)
    else:
        found |= _skipped(("smi", "kernel_log", "cuda"), layers.NO_GPU)
    of_user = "limits" if place.gpu else "devices,limits"  # whether there is a GPU although none is asked for
    found |= _sections(place, "machine", of_user, seconds=QUICK_SECONDS, user=True)
    return found | _skipped(layers.SLOW, LEFT_OUT)


def full(place: Place, found: Mapping[str, Any], *, burn: float = 0.0) -> dict[str, Any]:
    """A quick recording, completed by what needs PyTorch. burn: minutes for which the GPUs are kept busy besides.

    On a host without a GPU, PyTorch's numbers are taken on the processor. One that should have a GPU, and has no environment
    with PyTorch, is noted as lacking it: what its GPU computes, and how fast, was then not measured.
    """
    python = _python(place)
    if not python:
        nothing: dict[str, Any] = _skipped(layers.SLOW, WITHOUT_TORCH)
        if place.gpu:
            nothing["numbers"]["lacking"] = True
        return {**found, **nothing}
    smi = recording.section(found, "smi")
    words = (
        ["--device", "cuda", "--what", ",".join(layers.SLOW)] if place.gpu else ["--device", "cpu", "--what", "numbers"]
    )
    if place.gpu and recording.strings(smi.get("fields")):
        words += ["--smi", str(smi.get("path") or "nvidia-smi"), "--fields", ",".join(smi["fields"])]
    if burn:
        words += ["--burn", f"{burn:g}"]
    seconds = TORCH_SECONDS + round(60 * burn)
    answer = place.run(place.as_user(command("torch_check", *words, python=python, seconds=seconds)))
    taken, problem = _object(answer, seconds)
    broken = {"problem": problem, "devices": [], "device": "cuda" if place.gpu else "cpu", "python": "", "torch": ""}
    absent = {"skipped": layers.NO_GPU}
    wanted = layers.SLOW if place.gpu else ("numbers",)
    return {**found, **{name: (taken.get(name) or broken) if name in wanted else absent for name in layers.SLOW}}


def wanted_of(
    host: Host, capabilities: Capabilities, found: Mapping[str, Any], baseline: Mapping[str, float] | None = None
) -> Wanted:
    """What a host is measured by: what its entry says of GPUs, and the platform that was found.

    baseline: figure → the host's usual value.
    """
    count, spec = host.spec.get("count"), host.spec
    if capabilities.gpu_driver == "none":
        count = 0
    elif not isinstance(count, int) or isinstance(count, bool):
        count = None
    memory = spec.get("memory")
    return Wanted(
        platform=recording.platform(found),
        gpu=str(spec["gpu"]) if spec.get("gpu") else None,
        count=count,
        memory=float(memory) if isinstance(memory, int | float) else None,
        baseline=baseline or {},
        policy=thresholds.policy(host.variables),
        services=tuple(name for name in host.services if name in KEEPING),
    )


def command(probe: str, *words: str, python: str = "python3", seconds: int) -> str:
    """A shell command that runs a probe on a host: its text travels in the command, packed."""
    packed = base64.b64encode(zlib.compress(script(probe).encode(), 9)).decode()
    start = f"import base64,zlib;exec(zlib.decompress(base64.b64decode('{packed}')))"
    return shlex.join(["timeout", "--kill-after=5", str(seconds), python, "-I", "-c", start, *words])


def _sections(place: Place, probe: str, names: str, *, seconds: int, user: bool = False) -> dict[str, Any]:
    """What a probe says of these sections; each skipped, with the reason, where it says nothing."""
    text = command(probe, names, seconds=seconds)
    taken, problem = _object(place.run(place.as_user(text) if user else text), seconds)
    if taken:
        return taken
    nothing: dict[str, Any] = _skipped(names.split(","), f"the probe failed: {problem}")
    silent = {"code": None, "out": "", "err": f"the probe failed: {problem}", "seconds": 0.0}
    return nothing | ({"smi": {"list": silent, "query": silent, "fields": []}} if "smi" in nothing else {})


def _skipped(names: Iterable[str], reason: str) -> dict[str, Any]:
    return {name: {"skipped": reason} for name in names}


def _cuda(place: Place) -> dict[str, Any]:
    taken, problem = _object(place.run(place.as_user(command("cuda", seconds=CUDA_SECONDS))), CUDA_SECONDS)
    nothing: dict[str, Any] = {"visible": None, "version": None, "count": None, "code": 0, "step": "", "devices": []}
    return taken or {**nothing, "problem": problem}


def _python(place: Place) -> str:
    """The Python of the first environment that has PyTorch; empty where none has."""
    if not place.environments:
        return ""
    places = [f"{ENVIRONMENTS}/{name}/.venv" for name in place.environments]
    tests = (f"ls -d {shlex.quote(path)}/lib/python3*/site-packages/torch 2>/dev/null" for path in places)
    _, out, _ = place.run(f"{{ {' || '.join(tests)}; }} | head -n 1")
    return f"{out.strip().partition('/lib/')[0]}/bin/python" if out.strip().startswith(ENVIRONMENTS) else ""


def _object(answer: tuple[int, str, str], seconds: int) -> tuple[dict[str, Any], str]:
    """The JSON object on the last line, or what went wrong in words."""
    code, out, err = answer
    try:
        taken = json.loads((out.strip().splitlines() or [""])[-1])
    except ValueError:
        taken = None
    if isinstance(taken, dict) and taken:
        return taken, ""
    if code in (124, 137):
        return {}, f"no answer within {seconds} s"
    return {}, _last(err) or _last(out) or f"it ended with exit code {code} and no words"


def _last(text: str) -> str:
    lines: Iterable[str] = reversed(text.strip().splitlines())
    return next((line.strip()[:300] for line in lines if line.strip()), "")
