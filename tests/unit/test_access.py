from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gpurig import access, records
from gpurig.host import Endpoint, Guest, Host
from gpurig.stack import Stack
from tests.unit.far import host
from tests.unit.simulated import HOST_KEY


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "user"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def means(config: Path, alias: str) -> dict[str, list[str]]:
    """What OpenSSH itself understands for an alias."""
    done = subprocess.run(["ssh", "-G", "-F", str(config), alias], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


def serving(made: Host) -> Host:
    return replace(made, services=("jupyter", "tensorboard"), variables={"services_ports": {"jupyter": 8889}})


def test_the_pinned_key_is_the_only_one_that_is_accepted(stack: Stack) -> None:
    records.save(stack, host())
    found = means(access.config_file(stack), "far")
    assert found["hostname"] == ["192.0.2.1"]
    assert found["hostkeyalias"] == ["gpurig.unit.test.far.1"]
    assert found["stricthostkeychecking"] == ["true"]
    assert found["globalknownhostsfile"] == ["none"]
    assert found["userknownhostsfile"] == [str(access.known_hosts_file(stack))]
    assert found["hostkeyalgorithms"] == ["ssh-ed25519"]
    assert access.known_hosts_file(stack).read_text() == f"gpurig.unit.test.far.1 {HOST_KEY}\n"


def test_the_tunnel_alias_brings_every_service_at_its_port_there(stack: Stack) -> None:
    records.save(stack, serving(host()))
    found = means(access.config_file(stack), "far.tunnel")
    assert found["localforward"] == ["[127.0.0.1]:8889 [127.0.0.1]:8889", "[127.0.0.1]:6006 [127.0.0.1]:6006"]
    assert found["exitonforwardfailure"] == ["yes"]
    assert found["controlmaster"] == ["false"]
    assert found["hostkeyalias"] == ["gpurig.unit.test.far.1"]
    assert "localforward" not in means(access.config_file(stack), "far")


def test_the_services_are_the_guests_where_there_is_one(stack: Stack) -> None:
    outer = host()
    inside = Endpoint(address="127.0.0.1", port=2222, user="me", host_key=HOST_KEY, jump="far-win")
    made = serving(replace(outer, guest=Guest(name="far-wsl", endpoint=inside, capabilities=outer.capabilities)))
    records.save(stack, made)
    text = access.config_file(stack).read_text()
    assert "Host far-win\n" in text
    for alias in ("far-wsl", "far", "far.tunnel"):
        found = means(access.config_file(stack), alias)
        assert (found["port"], found["proxyjump"]) == (["2222"], ["far-win"])
        assert found["hostkeyalias"] == ["gpurig.unit.test.far.1.far-wsl"]
    assert means(access.config_file(stack), "far.tunnel")["localforward"][0].startswith("[127.0.0.1]:8889")
    assert means(access.config_file(stack), "far-win")["hostkeyalias"] == ["gpurig.unit.test.far.1"]


@pytest.mark.parametrize("user", ["John Smith", "O'Brien", "j.doe", "DESK\\me"])
def test_a_users_name_reaches_ssh_as_it_is(stack: Stack, user: str) -> None:
    outer = host()
    records.save(stack, replace(outer, endpoint=replace(outer.endpoint, user=user)))
    assert means(access.config_file(stack), "far")["user"] == [user]


def test_the_include_file_finds_every_stack_also_where_the_path_has_blanks(tmp_path: Path) -> None:
    base = tmp_path / "Application Support"
    for name in ("one", "two"):
        made = Stack(project="unit", name=name, root=tmp_path, home=base)
        records.save(made, host(name))
    for name in ("one", "two"):
        assert means(access.include_file(base), name)["hostname"] == ["192.0.2.1"]


def test_the_users_own_configuration_keeps_what_it_has(stack: Stack, home: Path) -> None:
    config = home / "dotfiles" / "ssh"
    config.parent.mkdir()
    config.write_text("Host work\n    HostName work.example.org\n")
    config.chmod(0o644)
    (home / ".ssh").mkdir()
    (home / ".ssh/config").symlink_to(config)
    assert not access.is_included(stack.home)
    access.add_include(stack.home)
    assert access.is_included(stack.home)
    assert (home / ".ssh/config").is_symlink()
    assert config.read_text() == f"{access.include_line(stack.home)}\n\nHost work\n    HostName work.example.org\n"
    assert config.stat().st_mode & 0o777 == 0o644
    records.save(stack, host())
    assert means(config, "far")["hostname"] == ["192.0.2.1"]


def test_a_new_configuration_is_the_users_alone(stack: Stack, home: Path) -> None:
    access.add_include(stack.home)
    assert (home / ".ssh/config").stat().st_mode & 0o777 == 0o600
    assert (home / ".ssh").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("line", ['Include "{}"', "include {}", "  Include={}", "Include ~/{}"])
def test_the_line_is_recognised_however_it_is_written(tmp_path: Path, home: Path, line: str) -> None:
    base = home / "rig"
    shown = access.include_file(base).relative_to(home) if "~" in line else access.include_file(base)
    (home / ".ssh").mkdir()
    (home / ".ssh/config").write_text(line.format(shown) + "\n")
    assert access.is_included(base)
    assert not access.is_included(tmp_path / "other")
