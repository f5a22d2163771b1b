"""What nvidia-smi tells of each GPU: memory errors, clocks, PCIe link, temperature, power, modes."""

from __future__ import annotations

from gpurig.health.busy import under_load

__all__ = ["under_load"]
