"""What a user accepts of his GPU, or has running on it: told as that, and not as a fault."""

from __future__ import annotations

import pytest

from tests.unit.recordings import GEFORCE, wanted
from tests.unit.test_health_telemetry import told


@pytest.mark.parametrize(
    ("policy", "verdict"), [({}, "WARN"), ({"min_pcie_width": 4}, "PASS"), ({"min_pcie_width": 8}, "WARN")]
)
def test_a_slot_that_the_user_accepts_is_fine(policy: dict[str, float], verdict: str) -> None:
    link = {f"pcie.link.{key}": "4" for key in ("gen.max", "gen.current", "width.current", "width.max")}
    assert told("GPU 0: PCIe link", {**GEFORCE, **link}, of=wanted(policy=policy)).verdict == verdict


def test_memory_that_the_host_s_own_services_may_keep_is_told_so() -> None:
    gpu, name = {**GEFORCE, "memory.used": "1834"}, "GPU 0: memory in use"
    with_api = told(name, gpu, of=wanted(services=("api", "rpc")))
    assert with_api.verdict == "WARN"
    assert with_api.reason.startswith("Something uses the GPU, maybe its services api or rpc;")
    assert with_api.advice.endswith("write `gpu_max_memory_used: 2500` under the host's `variables`.")
    assert "gpu_max_memory_used" not in told(name, gpu).advice
    assert told(name, gpu, of=wanted(services=("api",), policy={"max_memory_used": 2500})).verdict == "PASS"
    screen = told(name, gpu, of=wanted("wsl2", services=("api",)))
    assert "its service api;" in screen.reason
    assert "gpu_max_memory_used_desktop: 2500" in screen.advice
