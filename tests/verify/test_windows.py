"""The Windows PC around this Linux: read in one round, judged by gpurig.windows.proof. Only where there is one."""

from __future__ import annotations

from typing import Any

from gpurig.verification import Target
from gpurig.windows import proof, questions
from gpurig.windows.session import Session
from gpurig.windows.variables import of_host

NVCC = "/usr/local/cuda/bin/nvcc --version 2>/dev/null | sed -n 's/.*release \\([0-9.]*\\),.*/\\1/p'"


def test_windows(target: Target, host: Any, check: Any) -> None:
    """WSL2 with systemd, sshd with keys only, survives a restart, portproxy, firewall, nvidia-smi, toolkit against driver."""
    variables = of_host(target.stack, target.host)
    answer = Session(target.stack, target.host).round(questions.sections(variables))
    toolkit = host.run(NVCC).stdout.strip()
    gpu = target.capabilities.gpu_driver != "none"
    check.findings(proof.judge(answer.state, variables, gpu=gpu, toolkit=toolkit))
