"""Records what a real host's GPU says, so that it can stand in for one in tests: a fixture of tests/fixtures/gpu."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from gpurig.errors import ConfigError
from gpurig.health import gather
from gpurig.health.anonymous import anonymous
from gpurig.health.finding import Platform
from gpurig.health.thresholds import PREFIX
from gpurig.remote import SSH_FAILED, Place
from gpurig.verification import Target


def take(target: Target, *, quick: bool, burn: float) -> dict[str, Any]:
    """A recording of this machine, without names and addresses. burn: minutes under full load besides.

    Raises ConfigError where the host is to have no GPU, RigError where SSH does not get there; that something there does not
    work is what is recorded.
    """
    if target.capabilities.gpu_driver == "none":
        raise ConfigError(
            f"--capture: {target.name} has no GPU to record: `gpu_driver` is none for it. Of a workstation that has one, write "
            f"its `gpu_driver` into {target.stack.file.name}: gpurig:hosts.{target.host.name}, and run `rig up`."
        )
    place = Place(target.stack, target.host)
    place.reach()

    def run(command: str) -> tuple[int, str, str]:
        words = [*place.ssh(), target.as_root(command)]
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
        if done.returncode == SSH_FAILED:
            raise place.problem(done.returncode, done.stderr)
        return done.returncode, done.stdout, done.stderr

    there = gather.Place(run=run, as_user=target.as_user, gpu=True, environments=target.environments)
    found = gather.quick(there)
    if not quick:
        found = gather.full(there, found, burn=burn)
    about = {"about": {"origin": "recorded", "text": ""}, "wanted": _wanted(target, found)}
    return {**about, **anonymous(found, _names(target, found))}


def _wanted(target: Target, found: Mapping[str, Any]) -> dict[str, Any]:
    """What the host's entry asks for, as `python -m gpurig.health` reads it; what it does not ask for is left out."""
    wanted = gather.wanted_of(target.host, target.capabilities, found)
    own = {"gpu": wanted.gpu, "count": wanted.count, "memory": wanted.memory}
    variables = {f"{PREFIX}{name}": value for name, value in wanted.policy.items()}
    said: dict[str, Any] = {key: value for key, value in own.items() if value is not None}
    lists = {"variables": variables, "services": list(wanted.services)}
    return said | {key: value for key, value in lists.items() if value}


def _names(target: Target, found: Mapping[str, Any]) -> Iterator[str]:
    """What tells whose machine it is. A host that is called h100 or container has no name that could be taken out."""
    listed = str(found.get("smi", {}).get("list", {}).get("out", "")).partition("(UUID")[0]
    words = {
        word.lower() for word in [*re.findall(r"[\w-]+", listed), *get_args(Platform), "gpu", "nvidia", "cuda", "cpu"]
    }
    for name in (target.name, target.host.name, target.host.project, target.endpoint.user, target.endpoint.address):
        if name.lower() not in words:
            yield name
