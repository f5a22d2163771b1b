"""A recording without what tells whose machine it was taken on, so that it can be given away."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

UUID = re.compile(r"\b(GPU|MIG)-[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\bMIG-GPU-[\w/-]+")
SERIAL = re.compile(r"(?i)\b(serial(?: number)?\s*[:=]\s*)[\w-]+")
PCI = re.compile(r"\b(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{4}):[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(\.[0-7])?\b")
VERSION = r"\b(?:lib(?:nccl|cu[a-z]+|nv[a-z]+)|nccl|cudnn|version)[\s:=v-]{1,3}|\bnvidia-[a-z0-9-]+=="
IPV4 = re.compile(
    rf"(?:{VERSION})\d+(?:\.\d+){{3}}(?![\d.])|(?<![\d.])((?:\d{{1,3}}\.){{3}}\d{{1,3}})(?!\d|\.\d|-microsoft)",
    re.IGNORECASE,
)
"""An address, as its group 1; without that group it is the version of a library, which must stay. So must WSL's kernel."""

IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-fA-F]*:[0-9a-fA-F:]*[0-9a-fA-F]|::)(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}(?![\w:.])"
)
"""And the addresses of network cards."""

HOME = re.compile(r"/(home|Users)/[^/\s:'\",)]+")
PROCESS_NAMES = (
    re.compile(r"(\bname=)[^,\n]+"),
    re.compile(r"(Killed process \d+ )\([^)\n]*\)"),
    re.compile(r"(\btask=)[^,\n]+"),
    re.compile(r"(\b(?:task_memcg|oom_memcg|cpuset)=)[^,\n]+"),
    re.compile(r"^(.*?)\S+(?= invoked oom-killer)", re.MULTILINE),
)
"""How the kernel names a process in the lines that are kept."""

WORDS = re.compile(
    r"root|user|dev|usr|lib|home|proc|sys|bin|opt|run|var|local|gpus?|nvidia|cuda|wsl|linux|kernel|driver|device|memory|"
    r"link|name|index|native|container|none|default|enabled|disabled|torch|python",
    re.IGNORECASE,
)
"""Names of hosts and users that every recording has for other reasons: they tell nobody's name, and must stay."""

PROCESS = re.compile(r"(\bpid[='\" ]+|Killed process )(\d+)")


def anonymous(recording: Mapping[str, Any], names: Iterable[str] = ()) -> dict[str, Any]:
    """A copy without UUIDs, serial numbers, addresses, names of users, hosts and processes.

    Of PCI addresses and process numbers it is only kept which are the same. names: what else must not be in it, such as
    the host's name and the login user's.
    """
    hidden = sorted({name for name in names if name and not WORDS.fullmatch(name)}, key=len, reverse=True)
    by_name = [re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])", re.IGNORECASE) for name in hidden]
    gpus, places, processes = _Numbers(), _Numbers(), _Numbers()

    def clean(text: str) -> str:
        text = UUID.sub(
            lambda found: f"{found[1] or 'MIG'}-{gpus.of(found[0].lower()):08d}-0000-0000-0000-000000000000", text
        )
        text = SERIAL.sub(r"\g<1>0", text)
        text = PCI.sub(lambda found: _place(found, places), text)
        text = IPV6.sub("<address>", IPV4.sub(lambda found: "<address>" if found[1] else found[0], text))
        text = HOME.sub(r"/\1/user", text)
        for pattern in PROCESS_NAMES:
            text = pattern.sub(r"\1<process>", text)
        text = PROCESS.sub(lambda found: f"{found[1]}{processes.of(found[2]) + 1}", text)
        for pattern in by_name:
            text = pattern.sub("<name>", text)
        return text

    return {key: value if key == "schema" else _everywhere(value, clean) for key, value in recording.items()}


class _Numbers:
    """Numbers things in the order in which they come up."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, thing: str) -> int:
        return self._known.setdefault(thing, len(self._known))


def _place(found: re.Match[str], places: _Numbers) -> str:
    """A PCI address of the same form: the bus is the order in which it came up, the domain is 0."""
    domain, bus, device = found[0].lower().split(".")[0].split(":")
    number = places.of(f"{domain[-4:]}:{bus}:{device}") + 1
    return f"{'0' * len(domain)}:{number:02x}:00{found[1] or ''}"


def _everywhere(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {key: _everywhere(item, clean) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_everywhere(item, clean) for item in value]
    return value
