"""What the role refuses before it changes anything."""

from __future__ import annotations

import json

import pytest

from tests.templates.rendering import evaluate


def problems(**variables: object) -> list[str]:
    found: list[str] = evaluate("services", "_services_problems", **variables)
    return found


def conflicts(listening: dict[str, str], active: dict[str, list[int]], **variables: object) -> list[str]:
    seen = json.dumps({"listening": listening, "active": active, "environments": ["starter"]})
    found: list[str] = evaluate("services", "_services_conflicts", __services_seen={"stdout": seen}, **variables)
    return found


def test_what_is_configured_well_has_no_problems() -> None:
    assert problems() == []


def test_an_unknown_service_is_named() -> None:
    assert "jupiter" in problems(services_enabled=["jupiter"])[0]


def test_a_missing_environment_and_a_shared_port_are_reported_together() -> None:
    found = problems(gpurig_environments=[], services_ports={"jupyter": 6006})
    assert "starter" in found[0]
    assert "one port" in found[1]


@pytest.mark.parametrize(("user", "count"), [("dev", 1), ("root", 0)])
def test_a_low_port_is_refused_where_services_do_not_run_as_root(user: str, count: int) -> None:
    assert len(problems(services_ports={"jupyter": 80}, gpurig_user=user)) == count


def test_an_environment_without_what_a_service_runs_is_named() -> None:
    found = problems(services_enabled=["api"], services_environments={"api": "starter"})
    assert "environments/starter/service.py" in found[0]
    assert "services_environments" in found[0]


def test_exposure_that_came_by_variables_is_checked_as_well() -> None:
    assert "everybody" in problems(services_expose={"jupyter": "0.0.0.0/0"})[0]


def test_lupine_needs_to_be_told_where_its_server_comes_from() -> None:
    assert "services_lupine_sha256" in problems(services_enabled=["lupine"])[0]


def test_a_port_of_another_program_is_in_the_way_and_one_of_ours_is_not() -> None:
    assert conflicts({"22": "sshd", "8888": "jupyter-lab"}, {"jupyter": [8888], "tensorboard": [6006]}) == []
    (found,) = conflicts({"8888": "python3", "6006": "tensorboard"}, {"tensorboard": [6006]})
    assert found.startswith("services.jupyter: port 8888 is taken there by python3;")
    (found,) = conflicts({"18888": ""}, {}, services_expose={"jupyter": "10.0.0.0/8"})
    assert found.startswith("expose.jupyter: port 18888 is taken there by a program that cannot be seen;")


def test_an_environment_that_is_not_installed_is_in_the_way_unless_this_is_a_rehearsal() -> None:
    missing = {"services_enabled": ["mlflow"], "gpurig_environments": ["mlflow"]}
    assert "the environments mlflow are not installed there" in conflicts({}, {}, **missing)[0]
    assert conflicts({}, {}, **missing, ansible_check_mode=True) == []
