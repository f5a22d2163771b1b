"""The ways in which a Windows PC with WSL2 breaks, as numbered in docs/windows-failures.md."""

from __future__ import annotations

NAMES: dict[int, str] = {
    1: "the Store's stub instead of WSL's program",
    2: "WSL is stopped when nobody uses it",
    3: "all ends when the Windows user logs off",
    4: "another Windows user",
    5: "started as SYSTEM",
    6: "no virtualisation",
    7: "WSL half there after a Windows update",
    8: "virtual machines may not log on",
    9: "nothing to install from",
    10: "WSL updated itself",
    11: "the portproxy leads elsewhere",
    12: "the portproxy does not listen",
    13: "the Windows firewall blocks",
    14: "the Hyper-V firewall blocks",
    15: "no mirrored networking here",
    16: "no network inside WSL",
    17: "the clock inside WSL is wrong",
    18: "Internet Connection Sharing is disabled",
    19: "the sshd inside WSL does not serve",
    20: "nvidia-smi is not found",
    21: "the GPU is blocked",
    22: "ldconfig complains of libcuda",
    23: ".wslconfig without effect",
    24: "wsl.conf only half read",
    25: "the keeper's task does not keep running",
    26: "systemd is degraded",
    27: "the disk is full, or never shrinks",
    28: "WSL takes the PC's memory",
    29: "WinRM refuses on a public network",
    30: "Windows' sshd does not take the key",
    31: "localhost does not lead into WSL",
    32: "Docker is dead",
}
"""Number → name."""
