"""Containers as hosts, with a simulated podman whose settings are wrong at first."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpurig import config, lifecycle, providers, reach
from gpurig.errors import RigError
from gpurig.providers.container.client import PodmanError
from gpurig.providers.container.provider import Provider
from gpurig.stack import Stack

WRONG = "crun: setrlimit `RLIMIT_NPROC`: Operation not permitted: OCI permission denied"


class Podman:
    """A simulated podman: what a container was made with stays with it. good: whether its settings let containers start."""

    def __init__(self) -> None:
        self.good = False
        self.made = 0
        self.listed: dict[str, dict[str, Any]] = {}

    def containers(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        return list(self.listed.values())

    def inspect(self, container: str) -> dict[str, Any]:
        ports = {"22/tcp": [{"HostPort": "20022"}]}
        return {"State": {"Status": self.listed[container]["State"]}, "HostConfig": {"PortBindings": ports}}

    def put(self, container: str, files: object) -> None:
        assert container in self.listed

    def run(self, *words: str) -> str:
        if words[0] == "create":
            self.made += 1
            labels = dict(word.removeprefix("--label=").split("=", 1) for word in words if word.startswith("--label="))
            container = f"container-{self.made}"
            self.listed[container] = {"Id": container, "Labels": labels, "State": "created", "Good": self.good}
            return container
        container = words[-1]
        if words[0] == "rm":
            del self.listed[container]
        elif words[0] == "start":
            if not self.listed[container]["Good"]:
                raise PodmanError(f"podman start failed: {WRONG}\nrun `make setup`", WRONG)
            self.listed[container]["State"] = "running"
        else:
            raise AssertionError(words)
        return ""


@pytest.fixture
def podman(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Podman:
    made = Podman()
    provider = Provider()
    monkeypatch.setattr(provider, "_podman", made)
    monkeypatch.setattr(providers, "provider", lambda _: provider)
    monkeypatch.setattr(reach, "wait", lambda *_, **__: None)
    hosts = {"one": {"provider": "container", "init": "none", "image": "mine"}}
    stack.file.write_text(json.dumps({"config": {"gpurig:hosts": hosts}}))
    return made


def up(stack: Stack) -> str:
    return lifecycle.ensure(stack, "one", config.load(stack).hosts["one"], report=print).id


def test_one_that_could_not_start_is_made_anew_once_podmans_settings_are_mended(stack: Stack, podman: Podman) -> None:
    with pytest.raises(RigError, match=r"(?s)^one: podman start failed: .*`make setup`\n.*run this again") as failed:
        up(stack)
    assert WRONG in str(failed.value)
    podman.good = True
    assert up(stack) == "container-2"
    assert list(podman.listed) == ["container-2"]


def test_one_that_ran_is_kept_where_it_cannot_start(stack: Stack, podman: Podman) -> None:
    podman.good = True
    made = up(stack)
    podman.listed[made] |= {"State": "exited", "Good": False}
    with pytest.raises(RigError, match="setrlimit"):
        up(stack)
    assert list(podman.listed) == [made]
