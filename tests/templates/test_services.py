"""What systemd, supervisor and the services themselves get."""

from __future__ import annotations

import ast
import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from gpurig import services
from tests.templates.rendering import evaluate, render

TOKEN = "secret-token"
NAMES = ["jupyter", "tensorboard"]


def service(template: str, name: str, **variables: object) -> str:
    return render("services", template, **{"service_name": name, "_services_one_token": TOKEN, **variables})


def unit(**variables: object) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # systemd's keys have capitals
    parser.read_string(service("systemd.service.j2", "jupyter", **variables))
    return parser


@pytest.mark.parametrize("name", NAMES)
def test_a_service_listens_on_loopback_at_its_port_without_its_token(name: str) -> None:
    text = service(f"{name}.j2", name, services_ports={name: 7777})
    assert "127.0.0.1" in text
    assert "7777" in text
    assert TOKEN not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_service_finds_its_token_in_the_environment(name: str) -> None:
    variable = services.described(name)["secret"]
    assert f"{variable}={TOKEN}\n" in service("env.j2", name)


def test_jupyter_reads_no_old_settings_and_opens_no_ports_for_kernels() -> None:
    text = service("jupyter.j2", "jupyter")
    assert "JUPYTER_CONFIG_DIR" in text
    assert "--KernelManager.transport=ipc" in text
    assert "--ServerApp.port_retries=0" in text


@pytest.mark.parametrize(("user", "allowed"), [("dev", "False"), ("root", "True")])
def test_jupyter_runs_as_root_only_where_root_is_the_user(user: str, allowed: str) -> None:
    assert f"--ServerApp.allow_root={allowed} " in service("jupyter.j2", "jupyter", gpurig_user=user)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed on this machine")
def test_shellcheck_finds_nothing_in_jupyters_program(tmp_path: Path) -> None:
    file = tmp_path / "jupyter"
    file.write_text(service("jupyter.j2", "jupyter"))
    subprocess.run(["shellcheck", file], check=True)


def test_tensorboards_program_is_python_with_one_server() -> None:
    text = service("tensorboard.j2", "tensorboard")
    assert text.startswith("#!/opt/gpurig/environments/starter/.venv/bin/python\n")
    assert 'load_fast="false"' in text
    ast.parse(text)


def test_a_service_runs_from_another_environment_when_told_so() -> None:
    text = service("jupyter.j2", "jupyter", services_environments={"jupyter": "pytorch"})
    assert "/opt/gpurig/environments/pytorch/.venv/bin/jupyter" in text


def test_a_unit_drops_what_a_service_does_not_need() -> None:
    found = unit()["Service"]
    assert found["User"] == "dev"
    assert found["NoNewPrivileges"] == "yes"
    assert found["CapabilityBoundingSet"] == ""
    assert not {"PrivateDevices", "ProtectHome", "MemoryDenyWriteExecute"} & set(found)


def test_system_calls_are_restricted_where_the_kernel_is_the_host_s_own() -> None:
    assert unit()["Service"]["RestrictSUIDSGID"] == "yes"
    shared = set(unit(services_seccomp=False)["Service"])
    assert not {"LockPersonality", "ProtectKernelModules", "RestrictAddressFamilies", "RestrictSUIDSGID"} & shared


def test_root_keeps_its_capabilities() -> None:
    assert "CapabilityBoundingSet" not in unit(gpurig_user="root")["Service"]


def test_memory_is_limited_where_asked_for() -> None:
    assert "MemoryMax" not in unit()["Service"]
    assert unit(services_memory_max={"jupyter": "16G"})["Service"]["MemoryMax"] == "16G"


def test_restarts_come_ever_later_where_systemd_knows_how() -> None:
    assert unit(ansible_facts={"distribution_release": "trixie"})["Service"]["RestartSteps"] == "6"
    assert unit()["Service"]["RestartSec"] == "10"
    assert "RestartSteps" not in unit()["Service"]


def test_supervisor_starts_a_service_at_boot_and_rotates_its_log() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(service("supervisor.conf.j2", "jupyter"))
    program = parser["program:gpurig-jupyter"]
    assert program["command"] == "/etc/gpurig/start-as dev jupyter"
    assert program["autostart"] == "true"
    assert program["stdout_logfile"] == "/var/log/gpurig/jupyter.log"
    assert program["stdout_logfile_backups"] == "3"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("init", ["systemd", "supervisor"])
def test_a_new_start_is_due_when_program_token_or_packages_change(name: str, init: str) -> None:
    given = {"service_name": name, "services_init": init, "_services_one_token": TOKEN}
    before = evaluate("services", "_services_one_digest", **given)
    assert evaluate("services", "_services_one_digest", **given) == before
    assert evaluate("services", "_services_one_digest", **given, services_ports={name: 7777}) != before
    assert evaluate("services", "_services_one_digest", **{**given, "_services_one_token": "other"}) != before


def problems(**variables: object) -> list[str]:
    found: list[str] = evaluate("services", "_services_problems", **variables)
    return found


def test_what_is_configured_well_has_no_problems() -> None:
    assert problems() == []


def test_an_unknown_service_is_named() -> None:
    assert "jupiter" in problems(services_enabled=["jupiter"])[0]


def test_a_missing_environment_and_a_shared_port_are_reported_together() -> None:
    found = problems(gpurig_environments=[], services_ports={"jupyter": 6006})
    assert "starter" in found[0]
    assert "one port" in found[1]
