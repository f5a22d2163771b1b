"""What the RPC worker can do. Yours go into ~/gpurig/rpc_functions.py on the host, in a dict FUNCTIONS like the one below.

A function takes tensors and keyword options, and returns a tensor, or several. It runs in the worker, next to the GPU.
"""

from __future__ import annotations

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def echo(tensor: torch.Tensor) -> torch.Tensor:
    """The same again: what a call costs."""
    return tensor


def matmul(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The product, computed by the GPU where there is one."""
    return (left.to(DEVICE) @ right.to(DEVICE)).cpu()


def ones(rows: int, columns: int) -> torch.Tensor:
    """Something to keep there."""
    return torch.ones(rows, columns)


FUNCTIONS = {"echo": echo, "matmul": matmul, "ones": ones}
