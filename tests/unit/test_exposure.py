"""What a host may let a network reach, and every mistake in it, told at once."""

from __future__ import annotations

import pytest

from gpurig import catalogue, config, exposure, services
from gpurig.errors import ConfigError

HOST = (
    "hosts: {{a: {{provider: container, environments: [starter, mlflow, pytorch], services: [{services}], "
    "expose: {expose}{more}}}}}"
)


def mistakes(expose: str, names: str = "jupyter, mlflow, rpc", more: str = "") -> list[str]:
    """What is said about a host that exposes this, but for the file and the host."""
    import yaml

    text = HOST.format(services=names, expose=expose, more=more)
    with pytest.raises(ConfigError) as caught:
        config.parse(yaml.safe_load(text), "Pulumi.test.yaml")
    lines = str(caught.value).splitlines()
    assert all(line.startswith("Pulumi.test.yaml: gpurig:hosts.a.") for line in lines)
    return [line.removeprefix("Pulumi.test.yaml: gpurig:hosts.a.") for line in lines]


@pytest.mark.parametrize(
    ("expose", "said"),
    [
        ("{mlflow: }", "expose.mlflow: no source range; write the addresses that may reach it"),
        ("{mlflow: ''}", "expose.mlflow: no source range"),
        ("{mlflow: 0.0.0.0/0}", "expose.mlflow: found '0.0.0.0/0', which is everybody or nearly so"),
        ("{mlflow: '::/0'}", "expose.mlflow: found '::/0', which is everybody"),
        ("{mlflow: 128.0.0.0/1}", "which is everybody or nearly so"),
        ("{mlflow: home}", "expose.mlflow: found 'home', which is no range of addresses"),
        ("{mlflow: 192.168.1.7/24}", "an address within a network; write 192.168.1.0/24"),
        ("{mlflow: 127.0.0.0/8}", "which is the host itself"),
        ("{mlflow: 5}", "expose.mlflow: found 5: input should be a valid string"),
        (
            "[mlflow]",
            "expose: found ['mlflow']: write a service and who may reach it, such as {mlflow: 192.168.1.0/24}",
        ),
        ("{mlfow: 10.0.0.0/8}", "expose.mlfow: no such service (did you mean 'mlflow'?)"),
        (
            "{tensorboard: 10.0.0.0/8}",
            "expose.tensorboard: this host does not run it; add tensorboard to its `services`",
        ),
        ("{rpc: 10.0.0.0/8}", "expose.rpc: PyTorch RPC worker knows no login"),
    ],
)
def test_a_mistake_names_the_key_and_says_what_to_write(expose: str, said: str) -> None:
    (found,) = mistakes(expose)
    assert said in found


def test_all_mistakes_are_told_at_once() -> None:
    found = mistakes(
        "{mlflow: , rpc: 10.0.0.0/8, jupyter: 0.0.0.0/0}", more=", variables: {services_ports: {jupyter: 5000}}"
    )
    assert len(found) == 5
    assert "two services would listen on one port: 5000 is already jupyter's" in " ".join(found)
    assert "two services would listen on one port: 15000" in " ".join(found)


@pytest.mark.parametrize(
    ("ports", "said"),
    [
        ("{jupyter: 0}", "variables.services_ports.jupyter: found 0: write a port from 1024 to 65535"),
        ("{jupyter: '8889'}", "variables.services_ports.jupyter: found '8889'"),
        ("{jupyter: true}", "variables.services_ports.jupyter: found True"),
        ("5000", "variables.services_ports: found 5000: write a map"),
        ("{jupyter: 60000}", "expose.jupyter: would be exposed at 70000, above 65535"),
    ],
)
def test_a_port_that_is_none_is_named(ports: str, said: str) -> None:
    (found,) = mistakes("{jupyter: 10.0.0.0/8}", "jupyter", f", variables: {{services_ports: {ports}}}")
    assert found.startswith(said)


@pytest.mark.parametrize("source", ["192.168.1.0/24", "192.168.1.7", "10.0.0.0/8", "100.64.0.0/10", "fd00:1::/64"])
def test_a_range_of_somebody_s_is_taken(source: str) -> None:
    assert list(exposure.problems(("mlflow",), {"mlflow": source}, {})) == []
    found = exposure.of_host(("mlflow",), {"mlflow": source}, {"services_ports": {"mlflow": 5001}})["mlflow"]
    assert (found.port, str(found.source).partition("/")[0]) == (15001, source.partition("/")[0])


def test_whatever_has_no_login_can_never_be_exposed() -> None:
    for name in catalogue.services():
        if not services.described(name)["auth"]:
            (found,) = exposure.problems((name,), {name: "10.0.0.0/24"}, {})
            assert "knows no login" in found[1]
