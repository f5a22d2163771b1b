"""What systemd, supervisor and the services themselves get."""

from __future__ import annotations

import ast
import configparser
import fnmatch
import shutil
import subprocess
from pathlib import Path

import pytest

from gpurig import catalogue, services
from tests.templates.rendering import evaluate, render

TOKEN = "secret-token"
NAMES = list(catalogue.services())
WITH_PORTS = ["api", "jupyter", "mlflow", "nanochat", "tensorboard"]
PYTHON, SHELL = ["jupyter", "mlflow", "tensorboard"], ["api", "lupine", "nanochat", "rpc"]


def service(template: str, name: str, **variables: object) -> str:
    return render(
        "services",
        template,
        **{"service_name": name, "services_enabled": [name], "_services_one_token": TOKEN, **variables},
    )


def unit(name: str = "jupyter", **variables: object) -> dict[str, str]:
    """What a unit's section [Service] says; of a key that is there twice, both lines."""
    text = service("systemd.service.j2", name, **variables)
    lines = text[text.index("[Service]") : text.index("[Install]")].splitlines()
    found: dict[str, str] = {}
    for key, _, value in (line.partition("=") for line in lines if "=" in line and not line.startswith("#")):
        found[key] = f"{found[key]}\n{value}" if key in found else value
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_service_s_data_has_the_keys_that_are_known_and_what_belongs_together(name: str) -> None:
    data = services.described(name)
    assert (
        not set(data) - services.KEYS - {"files", "needs", "start_seconds", "packages", "checkout", "private_network"}
    )
    assert bool(data.get("secret")) == data["auth"]
    assert bool(data["auth"]) == bool(data.get("open") and data.get("refuse") and data.get("health"))
    assert data.get("socket") or data["auth"], "whoever has no login has no port either"
    assert {"memory_max", "idle"} <= set(data)
    for file in data.get("files", ()):
        assert (catalogue.ROOT / "roles/services/files" / file).is_file()


@pytest.mark.parametrize("name", WITH_PORTS)
def test_a_service_listens_on_loopback_at_its_port(name: str) -> None:
    code = [catalogue.ROOT / "roles/services/files" / file for file in services.described(name).get("files", ())]
    program = service(f"{name}.j2", name, services_ports={name: 7777})
    assert "7777" in program
    assert "127.0.0.1" in program + "".join(path.read_text() for path in code)
    assert "0.0.0.0" not in program  # noqa: S104 (looked for, never bound to)


@pytest.mark.parametrize("name", NAMES)
def test_no_file_but_the_secret_one_holds_the_token(name: str) -> None:
    for template in (f"{name}.j2", "systemd.service.j2", "supervisor.conf.j2"):
        assert TOKEN not in service(template, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_service_finds_its_token_in_the_environment(name: str) -> None:
    variable = services.described(name).get("secret")
    assert (f"{variable}={TOKEN}\n" in service("env.j2", name)) == bool(variable)


@pytest.mark.parametrize(("user", "allowed"), [("dev", "False"), ("root", "True")])
def test_jupyter_runs_as_root_only_where_root_is_the_user(user: str, allowed: str) -> None:
    assert f'--ServerApp.allow_root={allowed}"' in service("jupyter.j2", "jupyter", gpurig_user=user)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed on this machine")
@pytest.mark.parametrize("name", SHELL)
def test_shellcheck_finds_nothing_in_a_program(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(service(f"{name}.j2", name))
    subprocess.run(["shellcheck", file], check=True)


@pytest.mark.parametrize("name", PYTHON)
def test_a_program_is_python(name: str) -> None:
    text = service(f"{name}.j2", name)
    assert text.startswith("#!/opt/gpurig/environments/")
    ast.parse(text)


def test_tensorboard_has_one_server() -> None:
    assert 'load_fast="false"' in service("tensorboard.j2", "tensorboard")


def test_mlflow_asks_for_a_login_sends_nothing_home_and_logs_no_token() -> None:
    text = service("mlflow.j2", "mlflow")
    for wanted in ("--app-name=basic-auth", 'MLFLOW_DISABLE_TELEMETRY="true"', "--no-access-log", "FAIL_CLOSED"):
        assert wanted in text


def hosts_of_mlflow(**variables: object) -> list[str]:
    """By what it may be called: the list that its program makes."""
    text = service("mlflow.j2", "mlflow", **variables)
    found: dict[str, list[str]] = {}
    exec(text[text.index("hosts =") : text.index("key =")], found)  # noqa: S102 (our own lines)
    return found["hosts"]


def test_mlflow_answers_to_a_tunnel_alone_where_it_is_not_exposed() -> None:
    assert hosts_of_mlflow() == ["localhost:*", "127.0.0.1:*"]


def test_mlflow_answers_to_its_host_s_name_and_to_any_address_and_to_no_other_name_where_it_is_exposed() -> None:
    facts, host = {"hostname": "box", "all_ipv6_addresses": ["fd00::7"]}, {"endpoint": {"address": "home.lan"}}
    hosts = hosts_of_mlflow(ansible_facts=facts, gpurig_host=host, services_expose={"mlflow": "10.0.0.0/24"})

    def taken(name: str) -> bool:  # as mlflow.server.security_utils does it
        return any(fnmatch.fnmatch(name, one) if "*" in one else name == one for one in hosts)

    for name in ("demo", "box", "home.lan", "[fd00::7]", "10.0.0.7", "1.2.3.4", "192.168.178.100"):
        assert taken(f"{name}:15000")
        assert not taken(f"{name}:5000")
    for name in ("evil.example", "10.0.0.7.evil.example", "10.a.0.7", "[fd00::8]", "", "10.0.0.7:15000.x"):
        assert not taken(f"{name}:15000")


@pytest.mark.parametrize(("expose", "allowed"), [({}, "False"), ({"jupyter": "10.0.0.0/24"}, "True")])
def test_jupyter_answers_to_other_names_only_where_it_is_exposed(expose: object, allowed: str) -> None:
    assert f'allow_remote_access={allowed}"' in service("jupyter.j2", "jupyter", services_expose=expose)


def test_a_service_runs_from_another_environment_when_told_so() -> None:
    text = service("jupyter.j2", "jupyter", services_environments={"jupyter": "pytorch"})
    assert "/opt/gpurig/environments/pytorch/.venv/bin/python\n" in text


def test_a_unit_drops_what_a_service_does_not_need() -> None:
    found = unit()
    assert found["User"] == "dev"
    assert found["NoNewPrivileges"] == "yes"
    assert found["CapabilityBoundingSet"] == ""
    assert not {"PrivateDevices", "ProtectHome", "MemoryDenyWriteExecute"} & set(found)


def test_system_calls_are_restricted_where_the_kernel_is_the_host_s_own() -> None:
    assert unit()["RestrictSUIDSGID"] == "yes"
    shared = set(unit(services_seccomp=False))
    assert not {"LockPersonality", "ProtectKernelModules", "RestrictAddressFamilies", "RestrictSUIDSGID"} & shared


def test_root_keeps_its_capabilities() -> None:
    assert "CapabilityBoundingSet" not in unit(gpurig_user="root")


def test_memory_is_limited_by_the_service_s_data_or_as_asked_for() -> None:
    assert unit()["MemoryMax"] == "90%"
    assert unit(services_memory_max={"jupyter": "16G"})["MemoryMax"] == "16G"


def test_memory_is_limited_under_supervisor_too() -> None:
    found = evaluate("services", "_services_memory", services_memory_max={"jupyter": "16G"})
    assert found == {"jupyter": "16G", "tensorboard": "25%"}
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(render("services", "limit_memory.conf.j2"))
    listener = parser["eventlistener:gpurig-memory"]
    assert (listener["events"], listener["autorestart"]) == ("TICK_5", "true")
    assert listener["command"] == "/usr/bin/python3 /etc/gpurig/limit_memory.py"


def test_the_environment_s_variables_come_before_the_secret() -> None:
    variables = "-/opt/gpurig/environments/starter/variables.env"
    assert unit()["EnvironmentFile"] == f"{variables}\n/etc/gpurig/services/jupyter.env"
    assert unit("lupine")["EnvironmentFile"] == "/etc/gpurig/services/lupine.env"


@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_login_has_a_network_of_its_own_and_a_socket_for_its_user_alone(name: str) -> None:
    found, open_to_all = unit(name), not services.described(name)["auth"]
    assert ("PrivateNetwork" in found) == open_to_all
    assert (found.get("RuntimeDirectoryMode") == "0700") == open_to_all


def test_restarts_come_ever_later_where_systemd_knows_how() -> None:
    assert unit(ansible_facts={"distribution_release": "trixie"})["RestartSteps"] == "6"
    assert unit()["RestartSec"] == "10"
    assert "RestartSteps" not in unit()


def test_supervisor_starts_a_service_at_boot_and_rotates_its_log() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(service("supervisor.conf.j2", "jupyter"))
    program = parser["program:gpurig-jupyter"]
    assert program["command"] == "/etc/gpurig/start-as dev jupyter starter"
    assert program["autostart"] == "true"
    assert int(program["startretries"]) >= 1_000_000, "it never gives up; start-as waits"
    assert program["stdout_logfile"] == "/var/log/gpurig/jupyter.log"
    assert program["stdout_logfile_backups"] == "3"


@pytest.mark.parametrize("name", ["jupyter", "tensorboard", "mlflow"])
@pytest.mark.parametrize("init", ["systemd", "supervisor"])
def test_a_new_start_is_due_when_program_token_or_packages_change(name: str, init: str) -> None:
    given = {"service_name": name, "services_init": init, "_services_one_token": TOKEN, "services_enabled": NAMES}
    before = evaluate("services", "_services_one_digest", **given)
    assert evaluate("services", "_services_one_digest", **given) == before
    assert evaluate("services", "_services_one_digest", **given, services_ports={name: 7777}) != before
    assert evaluate("services", "_services_one_digest", **{**given, "_services_one_token": "other"}) != before
    assert evaluate("services", "_services_one_digest", **{**given, "_services_one_packages": "other"}) != before


def exposure(**variables: object) -> str:
    return render("services", "exposure.cfg.j2", services_enabled=["jupyter", "mlflow"], **variables)


def test_haproxy_lets_in_one_range_per_service_and_passes_bytes_on() -> None:
    text = exposure(
        services_expose={"mlflow": "192.168.1.0/24", "jupyter": "fd00:1::/64"}, services_ports={"mlflow": 5001}
    )
    assert "mode tcp" in text
    assert "bind ipv4@*:15001\n    tcp-request connection reject unless { src 192.168.1.0/24 }\n" in text
    assert "server loopback 127.0.0.1:5001\n" in text
    assert "bind ipv6@:::18888 v6only\n    tcp-request connection reject unless { src fd00:1::/64 }\n" in text


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed on this machine")
def test_haproxy_understands_it(tmp_path: Path) -> None:
    file = tmp_path / "exposure.cfg"
    file.write_text(exposure(services_expose={"mlflow": "192.168.1.0/24", "jupyter": "fd00:1::/64"}))
    subprocess.run(["haproxy", "-c", "-f", file], check=True)


def test_what_lets_networks_in_runs_under_systemd_and_supervisor_as_a_user_of_its_own() -> None:
    assert "User=haproxy\n" in render("services", "exposure.service.j2")
    assert "user=haproxy\n" in render("services", "exposure.conf.j2")
