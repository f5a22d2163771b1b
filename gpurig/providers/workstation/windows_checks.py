"""What is wrong with a Windows PC's entry and no single key can tell; the PC itself is judged by its plan, later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gpurig import catalogue, exposure
from gpurig.exposure import Exposed
from gpurig.mistakes import did_you_mean
from gpurig.windows import packages

if TYPE_CHECKING:
    from gpurig.providers.workstation.windows import WindowsSpec

LOCAL_SUBNET = "LocalSubnet"
"""Windows' own word for the networks that its cards are in."""

DISTRIBUTION = "Ubuntu-24.04"

RDP_PORT = 3389

NEVER_MIRRORED = (135, 1900, 2869, 3702, 5004, 5357, 5358)
"""Ports that mirrored networking never hands to WSL (Microsoft's documentation of it)."""

OWN_KEYS = {"memory": "memory", "processors": "processors", "swap": "swap", "networkingmode": "networking"}
"""Key of .wslconfig, in lower case → the key of `wsl` that stands for it."""


def problems(spec: WindowsSpec) -> Iterator[tuple[str, str]]:
    """Key of the host's entry → what was found and what to write, without a full stop."""
    for index, source in enumerate(spec.allow_from):
        if problem := _bad_range(source):
            yield f"allow_from.{index}", problem
    for port, source in spec.ports.items():
        if problem := _bad_range(source):
            yield f"ports.{port}", problem
    if spec.rdp is not None and (problem := _bad_range(spec.rdp)):
        yield "rdp", problem
    yield from _distribution(spec)
    yield from _settings(spec)
    yield from _clashes(spec)


def exposed(spec: WindowsSpec) -> dict[str, Exposed]:
    """The services that the entry exposes, without those whose mistakes are told elsewhere."""
    known = [name for name in dict.fromkeys(spec.services) if name in catalogue.services()]
    sound = {name: source for name, source in spec.expose.items() if not exposure.bad_range(source)}
    try:
        return exposure.of_host(tuple(known), sound, spec.variables)
    except (TypeError, ValueError, AttributeError):  # ports that are none
        return {}


def _bad_range(source: str) -> str:
    return "" if source == LOCAL_SUBNET else exposure.bad_range(source)


def _distribution(spec: WindowsSpec) -> Iterator[tuple[str, str]]:
    made = spec.wsl.distribution
    if (made.url is None) != (made.sha256 is None):
        lacking = "sha256" if made.url else "url"
        yield f"wsl.distribution.{lacking}", "missing; a file of your own needs both, url and sha256"
    elif made.url is None and made.name not in (pinned := packages.distributions()):
        there = ", ".join(pinned)
        problem = f"no pinned distribution is called {made.name!r}{did_you_mean(made.name, pinned)}"
        yield "wsl.distribution", f"{problem}; write one of {there}, or {{name, url, sha256}} of your own"


def _settings(spec: WindowsSpec) -> Iterator[tuple[str, str]]:
    if not spec.wsl.settings:
        return
    from gpurig.windows import wslconfig, wslkeys  # which most commands do not need

    for section, keys in spec.wsl.settings.items():
        for key, value in keys.items():
            written, text = f"{section}.{key}", str(value).lower() if isinstance(value, bool) else str(value)
            name = wslkeys.known(written)
            if own := OWN_KEYS.get(key.lower()):
                yield f"wsl.settings.{written}", f"has a key of its own; write wsl.{own} instead"
            elif name is None:
                yield (
                    f"wsl.settings.{written}",
                    f"{wslconfig.unknown(written.lower())}; remove it, or write the right one",
                )
            else:
                for problem in wslconfig.judge(name, text, wslconfig.Computer()):
                    if problem.harmful or problem.void:
                        yield f"wsl.settings.{written}", f"{problem.text}; remove it"


def _clashes(spec: WindowsSpec) -> Iterator[tuple[str, str]]:
    taken = {spec.port: "port (Windows' own sshd)"}
    wanted = [("wsl.port", spec.wsl.port)]
    if spec.rdp is not None:
        taken[RDP_PORT] = "rdp"
    wanted += [(f"ports.{port}", int(port)) for port in spec.ports]
    wanted += [(f"expose.{name}", port) for name, port in ((name, one.port) for name, one in exposed(spec).items())]
    for key, port in wanted:
        if port in taken:
            yield key, f"{port} is already taken by {taken[port]}; write another"
        taken.setdefault(port, key)
        if spec.wsl.networking == "mirrored" and port in NEVER_MIRRORED:
            yield key, f"Windows keeps {port} for itself with wsl.networking: mirrored; write another, or `nat`"
