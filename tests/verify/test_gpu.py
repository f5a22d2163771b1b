"""The GPU: whether it is what was wanted, healthy and fast. Readings are taken here, gpurig.health judges them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gpurig import history
from gpurig.health import burn, gather, layers
from gpurig.health.finding import Finding
from gpurig.health.gather import Place
from gpurig.verification import Target


@pytest.fixture(scope="module")
def place(target: Target, host: Any, as_user: Callable[[str], str]) -> Place:
    def run(command: str) -> tuple[int, str, str]:
        done = host.run(command)
        return done.rc, done.stdout, done.stderr

    return Place(run, as_user, gpu=target.capabilities.gpu_driver != "none", environments=target.environments)


@pytest.fixture(scope="module")
def quick(place: Place) -> dict[str, Any]:
    """The recording without what needs PyTorch."""
    return gather.quick(place)


@pytest.fixture(scope="module")
def judged(target: Target) -> Callable[[Mapping[str, Any]], dict[str, list[Finding]]]:
    """Turns a recording into each layer's findings."""
    usual = history.baseline(target.stack, target.name, target.host.label)
    return lambda found: layers.judge(found, gather.wanted_of(target.host, target.capabilities, found, usual))


def test_devices(
    quick: dict[str, Any], judged: Callable[[Mapping[str, Any]], dict[str, list[Finding]]], check: Any
) -> None:
    """Device nodes, driver, nvidia-smi's fields, kernel log, CUDA without PyTorch, and the machine's limits."""
    for name, findings in judged(quick).items():
        if name not in layers.SLOW:
            check.findings(findings)


@pytest.mark.slow
def test_pytorch(
    quick: dict[str, Any],
    place: Place,
    judged: Callable[[Mapping[str, Any]], dict[str, list[Finding]]],
    check: Any,
    pytestconfig: pytest.Config,
) -> None:
    """Right results, speed, and several GPUs together; not where a layer before it failed."""
    before = judged(quick)
    minutes = pytestconfig.getoption("--burn", 0.0)
    whole = quick if layers.failed(before) else gather.full(place, quick, burn=minutes)
    findings = judged(whole)
    for name in layers.SLOW:
        check.findings(findings[name])
    check.findings(burn.missing(whole, findings, minutes, gpu=place.gpu))
