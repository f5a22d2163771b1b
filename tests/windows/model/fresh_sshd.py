"""Windows' own sshd as the bootstrap leaves it."""

from __future__ import annotations

import base64
from typing import Any

FOLDER = "C:\\ProgramData\\ssh"

CONFIG, ADMIN_KEYS, HOST_KEY = (
    f"{FOLDER}\\sshd_config",
    f"{FOLDER}\\administrators_authorized_keys",
    f"{FOLDER}\\ssh_host_ed25519_key.pub",
)

POWERSHELL = "C:\\WINDOWS\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"

_CONFIG = """\
# gpurig: begin\r
PubkeyAuthentication yes\r
PasswordAuthentication no\r
KbdInteractiveAuthentication no\r
# gpurig: end\r
# This is the sshd server system-wide configuration file.\r
AuthorizedKeysFile\t.ssh/authorized_keys\r
Subsystem\tsftp\tsftp-server.exe\r
Match Group administrators\r
       AuthorizedKeysFile __PROGRAMDATA__/ssh/administrators_authorized_keys\r
"""

_LOGIN_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOmRsB2qsKkN2IdJjFFmfOfOXtf4qazKV8NdEXHNvqVv gpurig\r\n"

_HOST_KEY = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPyH0gB1Z0Kk0m5cYd2W0sT2r9cZ3o5t5n9mM5l3b2Qx nt authority\\system@HOME-PC\r\n"
)


def _bytes(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SSHD: dict[str, Any] = {
    "sshd": {"source": "capability", "version": "9.5.5.1"},
    "files": {CONFIG: _bytes(_CONFIG), ADMIN_KEYS: _bytes(_LOGIN_KEY), HOST_KEY: _bytes(_HOST_KEY)},
    "acls": {ADMIN_KEYS: {"owner": "S-1-5-32-544", "sids": ["S-1-5-18", "S-1-5-32-544"], "inherited": False}},
    "registry": {"SOFTWARE\\OpenSSH": {"DefaultShell": POWERSHELL}},
}
"""Top-level entries of a PC's data."""
