"""What is refused of services' settings when a stack's file is read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.test_host_checks import LUPINE, PC, load, mistakes


def test_lupine_needs_to_be_told_where_its_server_comes_from() -> None:
    url, digest = mistakes(services=["lupine"])
    assert (
        url == "variables.services_lupine_url: lupine comes from no package: write the address of its server program."
    )
    assert digest.startswith("variables.services_lupine_sha256: lupine comes from no package: write the SHA-256 of ")
    load(services=["lupine"], variables={"services_lupine_url": "{{ x }}", "services_lupine_sha256": "{{ y }}"})


@pytest.mark.parametrize("bad", [{"services_lupine_url": "lupine"}, {"services_lupine_sha256": "5f"}])
def test_what_cannot_be_lupine_s_server_is_refused(bad: dict[str, str]) -> None:
    ((variable, value),) = bad.items()
    (line,) = mistakes(services=["lupine"], variables=LUPINE | bad)
    assert line.startswith(f"variables.{variable}: found '{value}': write the ")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"services_environments": {"jupiter": "starter"}},
            "variables.services_environments.jupiter: no such service (did you mean 'jupyter'?); there are: api, ",
        ),
        (
            {"services_environments": {"jupyter": "startr"}},
            "variables.services_environments.jupyter: found 'startr': no such environment (did you mean 'starter'?)",
        ),
        (
            {"services_environments": "pytorch"},
            "variables.services_environments: found 'pytorch': write a map such as {jupyter: pytorch}",
        ),
        ({"services_environments": {"jupyter": ["starter"]}}, "found ['starter']: no such environment"),
        ({"services_ports": {"jupiter": 8889}}, "variables.services_ports.jupiter: no such service"),
        ({"services_ports": {"jupyter": 22}}, "variables.services_ports.jupyter: found 22: SSH listens there"),
        ({"services_ports": ["8889"]}, "variables.services_ports: found ['8889']: write a map such as {jupyter: 8889}"),
        ({"services_ports": {"jupyter": 65536}}, "found 65536: write a port from 1 to 65535"),
        ({"services_ports": {"jupyter": "22"}}, "found '22': write a port from 1 to 65535"),
        ({"services_memory_max": {"jupiter": "16G"}}, "variables.services_memory_max.jupiter: no such service"),
        (
            {"services_memory_max": {"jupyter": "lots"}},
            "variables.services_memory_max.jupyter: found 'lots': write what systemd takes, such as 16G, 512M, 50% or ",
        ),
        ({"services_memory_max": ["16G"]}, "write a map such as {jupyter: 16G}"),
        ({"services_variables": {"jupiter": {}}}, "variables.services_variables.jupiter: no such service"),
        (
            {"services_variables": {"api": "API_QUEUE=64"}},
            "write a map of environment variables, such as {API_QUEUE: 64}",
        ),
        ({"services_variables": {"api": {"API QUEUE": 64}}}, "found 'API QUEUE': write an environment variable's name"),
        (
            {"services_variables": {"api": {"A": True}}},
            "variables.services_variables.api.A: found True: write one line of",
        ),
        ({"services_variables": {"api": {"A": "b\nC=d"}}}, "found 'b\\nC=d': write one line of text, in quotes"),
        ({"services_variables": {"api": {"A": ["b"]}}}, "found ['b']: write one line of text"),
        ({"services_variables": "API_QUEUE=64"}, "write a map such as {api: {API_QUEUE: 64}}"),
        (
            {"services_checkouts": {"nanochta": {"url": "/srv/n", "commit": "1" * 40}}},
            "variables.services_checkouts.nanochta: no such service",
        ),
        ({"services_checkouts": {"api": {"url": "/srv/api", "commit": "1" * 40}}}, "api comes from no repository"),
        ({"services_checkouts": {"nanochat": "/srv/n"}}, "found '/srv/n': write url and commit, as in {nanochat: "),
        (
            {"services_checkouts": {"nanochat": {"url": "/srv/n", "commit": "main"}}},
            "variables.services_checkouts.nanochat.commit: found 'main': write the commit's full hash",
        ),
        ({"services_expose": {"jupyter": "10.0.0.0/8"}}, "write it as the key `expose` of this host"),
        (
            {"services_ports": {"jupyter": 80}},
            "variables.services_ports.jupyter: found 80: services run as a user who is not root, and may not listen there",
        ),
    ],
)
def test_a_mistake_in_a_services_setting_names_its_key(variables: dict[str, Any], said: str) -> None:
    (line,) = mistakes(environments=["starter"], services=["tensorboard"], variables=variables)
    assert said in line


@pytest.mark.parametrize("value", ["16G", "512M", "1.5G", "90%", "12.5%", "100%", "infinity", "4096", 4096, "{{ x }}"])
def test_a_limit_that_systemd_takes_passes(value: object) -> None:
    load(environments=["starter"], services=["jupyter"], variables={"services_memory_max": {"jupyter": value}})


@pytest.mark.parametrize("value", ["16g", "16GB", "16 GiB", "0", "0%", "101%", "-1G", "", ".G", True, None, 0])
def test_a_limit_that_systemd_would_refuse_is_refused(value: object) -> None:
    (line,) = mistakes(
        environments=["starter"], services=["jupyter"], variables={"services_memory_max": {"jupyter": value}}
    )
    assert f"found {value!r}: write what systemd takes" in line


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({"services_ports": {"jupyter": 80}}, {"init": "none"}),
        ({"services_ports": {"jupyter": 80}}, {**PC, "user": "root"}),
        ({"services_ports": {"jupyter": 80}, "services_user": "root"}, PC),
        ({"services_ports": {"jupyter": 1024}}, PC),
    ],
)
def test_a_low_port_is_taken_where_services_run_as_root(settings: dict[str, Any], host: dict[str, str]) -> None:
    load(environments=["starter"], services=["jupyter"], variables=settings, **host)


@pytest.mark.parametrize("user", ["me", "{{ x }}"])
def test_a_low_port_is_refused_where_root_gives_services_another_user(user: str) -> None:
    settings = {"services_ports": {"jupyter": 80}, "services_user": user}
    (line,) = mistakes(environments=["starter"], services=["jupyter"], variables=settings, init="none")
    assert "write a port from 1024 to 65535" in line


def test_settings_that_are_well_written_pass() -> None:
    load(
        environments=["starter", "pytorch"],
        services=["jupyter", "api"],
        variables={
            "services_variables": {"api": {"API_QUEUE": 64, "API_MODEL": "/home/me/model.pt2"}, "jupyter": "{{ x }}"},
            "services_checkouts": {"nanochat": {"url": "/srv/nanochat.git", "commit": "1" * 40}},
        },
    )
