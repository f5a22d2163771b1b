"""Docker's settings are added to, and its API is found where it would listen on a network."""

from __future__ import annotations

import json

import pytest

from gpurig import docker_daemon

OWN = '{"data-root": "/data/docker", "runtimes": {"kata": {"path": "kata"}}, "features": {"buildkit": true}}'


def test_what_the_owner_wrote_stays() -> None:
    found = json.loads(docker_daemon.merged(OWN, "cdi"))
    assert found["data-root"] == "/data/docker"
    assert set(found["runtimes"]) == {"kata", "nvidia"}
    assert found["features"] == {"buildkit": True, "cdi": True}


@pytest.mark.parametrize("gpu", ["cdi", "runtime", ""])
def test_a_second_time_changes_nothing(gpu: str) -> None:
    once = docker_daemon.merged(OWN, gpu)
    assert docker_daemon.merged(once, gpu) == once


def test_an_old_docker_gets_the_runtime_only() -> None:
    assert json.loads(docker_daemon.merged("", "runtime")) == {"runtimes": docker_daemon.RUNTIME}
    assert json.loads(docker_daemon.merged("", "")) == {}


@pytest.mark.parametrize("text", ["{", "[]", '"x"'])
def test_a_damaged_file_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"/etc/docker/daemon\.json"):
        docker_daemon.merged(text, "cdi")


@pytest.mark.parametrize(
    ("text", "units", "defaults", "found"),
    [
        ("", "ExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS\nListenStream=/run/docker.sock", "", []),
        ('{"hosts": ["unix:///run/docker.sock", "fd://"]}', "", "", []),
        ('{"hosts": ["tcp://0.0.0.0:2375"]}', "", "", ["tcp://0.0.0.0:2375 (/etc/docker/daemon.json)"]),
        ('{"hosts": ["0.0.0.0:2375"]}', "", "", ["0.0.0.0:2375 (/etc/docker/daemon.json)"]),
        ("", "ExecStart=dockerd -H tcp://127.0.0.1:2375", "", ["tcp://127.0.0.1:2375 (a unit of systemd)"]),
        ("", "ListenStream=2375", "", ["2375 (a unit of systemd)"]),
        ("", "ListenStream = [::]:2376", "", ["[::]:2376 (a unit of systemd)"]),
        ("", "", 'DOCKER_OPTS="-H tcp://0.0.0.0:2375"', ["tcp://0.0.0.0:2375 (/etc/default/docker)"]),
        ("", "# -H tcp://x", '#DOCKER_OPTS="-H tcp://0.0.0.0:2375"', []),
    ],
)
def test_an_api_on_a_network_is_found(text: str, units: str, defaults: str, found: list[str]) -> None:
    assert docker_daemon.listeners(text, units, defaults) == found
