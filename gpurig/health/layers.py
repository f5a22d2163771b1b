"""The layers of a GPU's health, from the device node to the machine's limits: the first that FAILs ends the judgement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, cast

from gpurig.health import devices, recording
from gpurig.health.finding import Finding, Layer, Wanted

LAYERS = {
    "devices": "devices",
    "driver": "driver",
    "telemetry": "telemetry",
    "kernel log": "kernel_log",
    "CUDA": "cuda",
    "numbers": "numbers",
    "speed": "speed",
    "links": "links",
    "limits": "limits",
}
"""Name → module of this package, in the order in which they are judged."""

SLOW = ("numbers", "speed", "links")
"""They need PyTorch, and minutes."""

WITHOUT_GPU = ("numbers", "limits")
"""What can be told of a machine without a GPU: whether PyTorch computes right on its processor, and its limits."""

EXPLAINS = "kernel log"
"""What it would have said is told also where an earlier layer failed, since it may be why."""

NO_GPU = "`gpu_driver` is none for this host"

DAMAGED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a damaged recording may raise."""


def failed(judged: Mapping[str, list[Finding]]) -> str:
    """The name of the layer that ended a judgement; empty where none did. The machine's limits end nothing."""
    found = (name for name, findings in judged.items() if any(finding.verdict == "FAIL" for finding in findings))
    return next((name for name in found if name != "limits"), "")


def judge(found: Mapping[str, Any], wanted: Wanted) -> dict[str, list[Finding]]:
    """Each layer's findings about a recording. After the first layer that FAILs, the others are one SKIP each."""
    done: dict[str, list[Finding]] = {}
    for name in LAYERS:
        if wanted.count == 0 and name not in WITHOUT_GPU:
            done[name] = [devices.unasked(found, wanted, NO_GPU)] if name == "devices" else []
        elif wrong := failed(done):
            value = _seen(name, found, wanted) if name == EXPLAINS else ""
            reason = f"{wrong} failed; put that right first"
            done[name] = [Finding(name=name, verdict="SKIP", value=value, reason=reason)]
        else:
            done[name] = [*_of_one(name, found, wanted), *_nothing(name, found), *_lacking(name, found)]
    return _told_apart(done)


def _nothing(name: str, found: Mapping[str, Any]) -> Iterator[Finding]:
    """A FAIL where there should be GPUs, and nobody looked: silence is no health."""
    if name == "devices" and all(recording.skipped(found, part) for part in ("devices", "smi", "cuda", "numbers")):
        yield Finding(
            name="readings",
            verdict="FAIL",
            value="nothing was read",
            expected="readings of the GPUs",
            reason="This recording tells nothing of any GPU.",
            advice="Verify again; where it stays so, `rig verify --capture` shows what was recorded.",
        )


def _lacking(name: str, found: Mapping[str, Any]) -> Iterator[Finding]:
    """A WARN, once, where a GPU's results and speed could not be measured for want of PyTorch."""
    part = found.get("numbers")
    if name == "numbers" and isinstance(part, Mapping) and part.get("lacking"):
        yield Finding(
            name="PyTorch: results and speed",
            verdict="WARN",
            value="not measured",
            expected="right results, and the model's speed",
            reason=f"Nothing is known of the GPU's results and speed: {part.get('skipped') or 'PyTorch is missing'}.",
            advice="Add an environment with PyTorch to the host's `environments`, such as `pytorch`; then "
            "`rig up` and `ansible-playbook playbooks/site.yml`.",
        )


def _of_one(name: str, found: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    layer = cast("Layer", import_module(f"{__package__}.{LAYERS[name]}").judge)
    try:
        yield from layer(found, wanted)
    except DAMAGED as error:
        yield Finding(
            name=name,
            verdict="FAIL",
            value=f"{type(error).__name__}: {error}"[:200],
            expected="a recording that can be read",
            reason="What was recorded of it is damaged, or of another version.",
            advice="Verify again; where it stays so, `rig verify --capture` shows what was recorded.",
        )


def _seen(name: str, found: Mapping[str, Any], wanted: Wanted) -> str:
    bad = [finding for finding in _of_one(name, found, wanted) if finding.verdict in ("FAIL", "WARN")]
    return "; ".join(f"{finding.name}: {finding.reason}" for finding in bad)


def _told_apart(done: dict[str, list[Finding]]) -> dict[str, list[Finding]]:
    """The same with unique names: of a damaged recording, two findings may have one."""
    seen: Counter[str] = Counter()

    def unique(finding: Finding) -> Finding:
        seen[finding.name] += 1
        return finding if seen[finding.name] == 1 else replace(finding, name=f"{finding.name} ({seen[finding.name]})")

    return {name: [unique(finding) for finding in findings] for name, findings in done.items()}
