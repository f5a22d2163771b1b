"""What in a text tells whose PC it is: patterns of names, addresses and secrets, and which such words tell nothing."""

from __future__ import annotations

import ipaddress
import re

from gpurig.health import anonymous

WORDS = re.compile(
    r"system|svchost|services|lsass|wininit|spoolsv|sshd|wslrelay|wslhost|wslservice|vmms|vmcompute|ethernet|wi-?fi|wlan|vethernet|"
    r"default|public|administrators?|ubuntu|debian|windows|user|users|home|me|my|pc|host|local|localhost|gpurig|ssh|name\d+",
    re.IGNORECASE,
)
"""Words that are no names in a text, whoever is called so."""

IPV4 = anonymous.IPV4
IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f]*(?![\w:])")
KEPT_IPV4 = re.compile(r"(?:0|127|255)\.\d+\.\d+\.\d+|10\.255\.255\.254|169\.254\.0\.0")
SID = re.compile(r"\bS-1-\d+(?:-\d+){3,}")
"""Of people, computers and log-ons; shorter ones are the same everywhere."""

MAC = re.compile(r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])")
GUID = re.compile(r"(?<![0-9A-Fa-f-])[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![0-9A-Fa-f-])")
KEPT_GUIDS = ("40e0ac32-46a5-438a-a0b2-2b479e8f2e90",)
"""That of WSL's virtual machines, the same everywhere."""

EMAIL = re.compile(
    r"[\w.+-]+@(?![\w.-]*\.(?:service|socket|slice|scope|mount|target|timer|device)\b)[\w-]+(?:\.[\w-]+)*"
)
"""And user@computer, but not a unit of systemd."""

PROFILE = re.compile(r"((?:[A-Za-z]:)?[\\/]+(?:Users|home)[\\/]+)([^\\/\r\n\"'<>|:*?;,)\]]+)", re.IGNORECASE)
EVERYBODY = re.compile(r"Public|Default|Default User|All Users|name\d+", re.IGNORECASE)
"""Folders among those of people that are nobody's."""

PUBLIC_KEY = re.compile(r"\b((?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+) +([A-Za-z0-9+/=]{40,})(?: +[^\r\n\"<]*)?")
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
CALLED = r"pass(?:word|wd|phrase)?|token|secret|api[_-]?key|access[_-]?key|credentials?|authorization|bearer|pwd|product[_-]?key"
SECRET_KEY = re.compile(rf"(?:.*[_-])?(?:{CALLED})", re.IGNORECASE)
SECRET = re.compile(
    rf"(?<!by)((?:{CALLED})[\"']?(?:\s*[=:]\s*|\s+)[\"']?)(?:(?:basic|bearer)\s+)?[^\s\"'<>,;}}]+", re.IGNORECASE
)
"""Not what stands behind PowerShell's `-ExecutionPolicy Bypass`."""

TOKEN = re.compile(
    r"\b(?:gh[pousr]_|github_pat_|hf_|sk-|xox[abp]-|AKIA|ASIA|glpat-|eyJ|tskey-|dop_v1_)[A-Za-z0-9_.-]{8,}"
)
"""How tokens begin of services that people use on such PCs."""

IN_URL = re.compile(r"(?<=://)[^/@\s\"']+@")
URL = re.compile(r"(?<=://)(<secret>@)?([^/\s:\"'<>@]+)(:\d+)?(/[^\s\"'<>]*)?")
KEPT_URL = re.compile(r"(?:.+\.)?(?:ubuntu\.com|microsoft\.com|nvidia\.com|w3\.org|example\.com)|github\.com|aka\.ms")
"""Hosts of what wsl.toml pins, and of forms; on GitHub only these owners, since anybody may have files there."""

KEPT_OWNER = re.compile(r"/(?:microsoft|PowerShell|canonical|ubuntu)(?:/|$)", re.IGNORECASE)

FOLDERS = re.compile(
    r"((?<![A-Za-z])[A-Za-z]:(?=[\\/])|/mnt/[a-z](?=/)|(?<![\\/\w:?.])\\(?=\\[^\\/?.\s]))((?:[\\/]+[^\\/\r\n\"'<>|:*?;,)\]]+)+)"
)
"""A drive of Windows, also as Linux sees it, or the beginning of `\\server`; and the path on it."""

KEPT_ROOT = re.compile(r"[\\/]+Windows(?:[\\/]|$)", re.IGNORECASE)
KEPT_FOLDER = re.compile(
    r"Program Files(?: \(x86\))?|ProgramData|Users|AppData|Local|LocalLow|LocalState|Roaming|Packages|Temp|Microsoft|WindowsApps|"
    r"WSL|wsl\$|wsl\.localhost|OpenSSH|PowerShell|\d+|NVIDIA Corporation|NVSMI|Docker|gpurig|\.?ssh|\.cloud-init|\.wslconfig|"
    r"CanonicalGroupLimited\.[\w.]+|(?:Ubuntu|Debian)(?:-[\d.]+)?|\{[0-9a-f-]+\}|Public|Default|(?:name|folder)\d+|"
    r"(?:ext4|swap|docker_data)\.vhdx|wsl\.msi|(?:wsl|wslservice|wslrelay|wslhost|pwsh|nvidia-smi|sshd?)(?:\.exe)?|"
    r"keeper\.(?:ps1|json|log|pause)|wslconfig\.txt|administrators_authorized_keys|sshd_config",
    re.IGNORECASE,
)
"""Folders and files that have these names on every PC."""

NETWORK_ID = re.compile(r"\[[0-9a-fA-F]{10,16}\]")
"""As in the name of ZeroTier's adapters."""

KEPT_ADAPTER = re.compile(
    r"(?:Ethernet|Wi-?Fi|WLAN|Loopback Pseudo-Interface|Local Area Connection\*?|LAN-Verbindung\*?|Bluetooth[\w -]*|Tailscale)(?: \d+)?|"
    r"vEthernet \((?:WSL(?: \(Hyper-V firewall\))?|Default Switch)\)|ZeroTier One \[[^\]]*\]",
    re.IGNORECASE,
)
"""Network adapters that are called so everywhere; those of tunnels have their user's names."""

KEPT_UNIT = re.compile(
    r"(?:systemd-[\w-]+|sshd?|cron|dbus|rsyslog|docker|containerd|snapd[\w.-]*|cloud-[\w-]+|networkd-dispatcher|wsl-[\w-]+|"
    r"unattended-upgrades|apt-daily[\w-]*|apt-news|esm-cache|logrotate|man-db|motd-news|polkit|user|getty|console-getty|"
    r"multipathd|multi-user|e2scrub\w*|dpkg-db-backup|fstrim|nvidia-[\w-]+|apparmor|ufw|gpurig-[\w-]+|unit\d+)"
    r"(?:@(?:\d+|tty\w+)?)?\.(?:service|socket|timer|mount|target|slice|scope|path)"
)
"""Units that distributions and we bring."""

COMMENTED = ("config", "wsl_conf", "sshd_own")
"""Keys whose values are files of settings."""

NAMED = (
    re.compile(r"(?m)^user=([^:\r\n]+):\d+\r?$"),
    re.compile(r"(?mi)^\s*default\s*=\s*\"?([\w.-]+)"),
    re.compile(r"<(?:UserId|Author)>(?:[^<\\]*\\)?([^<\\]+)</"),
    re.compile(r"<(?:UserId|Author)>([^<\\]+)\\"),
)
"""Where files and tasks name people and computers: what the distribution says, wsl.conf, scheduled tasks."""


def is_ipv6(text: str) -> bool:
    """Whether this is an address, and not a time or a MAC."""
    try:
        return ipaddress.ip_address(text).version == 6  # noqa: PLR2004 (IPv6)
    except ValueError:
        return False


def without_comment(line: str) -> str:
    """A line of a file of settings without the words of its comment; that there is one may matter, and ours are no secret."""
    quoted, end = False, "\r" if line.endswith("\r") else ""
    for place, sign in enumerate(line):
        quoted ^= sign == '"'
        if (sign == "#" and not quoted) or (sign == ";" and not line[:place].strip()):
            said = line[place + 1 :].strip()
            return line if not said or said.startswith("gpurig") else f"{line[: place + 1]} comment{end}"
    return line
