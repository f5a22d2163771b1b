"""What the role does in which order, and from what its services run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpurig import catalogue
from tests.templates.rendering import evaluate

ROLE = catalogue.ROOT / "roles/services"
NANOCHAT = {"service_name": "nanochat", "services_enabled": ["nanochat"], "_services_one_token": "secret-token"}
LUPINE = {**NANOCHAT, "service_name": "lupine", "services_enabled": ["lupine"]}


def tasks(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROLE / "tasks" / name).read_text())
    return found


def test_systemd_forgets_failures_before_a_changed_service_starts_anew() -> None:
    forget, run = tasks("run_systemd.yml")[:2]
    assert forget["ansible.builtin.command"]["argv"] == ["systemctl", "reset-failed", "gpurig-{{ service_name }}"]
    assert forget["loop"] == "{{ __services_new }}"
    assert run["ansible.builtin.systemd_service"]["name"] == "gpurig-{{ service_name }}"


@pytest.mark.parametrize("changed", ["environment", "commit", "lock"])
def test_packages_beside_an_environment_are_built_anew_when_they_or_it_change(changed: str, tmp_path: Path) -> None:
    shutil.copytree(catalogue.ROOT / "environments/nanochat", tmp_path / "nanochat")
    given: dict[str, Any] = {**NANOCHAT, "environments_source": str(tmp_path)}
    before = [evaluate("services", name, **given) for name in ("_services_one_additions", "_services_one_digest")]
    assert before[0].startswith("/opt/gpurig/services/nanochat/packages-")
    match changed:
        case "environment":
            project = tmp_path / "nanochat/pyproject.toml"
            text = project.read_text()
            project.write_text(text.replace('requires-python = "', 'requires-python = "!=3.9.1,'))
            assert project.read_text() != text
        case "commit":
            given["environments_sources"] = {"nanochat": {"url": "/srv/nanochat", "commit": "1" * 40}}
        case "lock":
            data = evaluate("services", "_services_data", **NANOCHAT)
            other = {**data["services_nanochat"], "packages": str(tmp_path)}
            (tmp_path / "requirements.lock").write_text("# another one\n")
            given["_services_one"] = other
    after = [evaluate("services", name, **given) for name in ("_services_one_additions", "_services_one_digest")]
    assert [old == new for old, new in zip(before, after, strict=True)] == [False, False]


def test_packages_are_complete_only_after_their_installation() -> None:
    (block,) = [task["block"] for task in tasks("packages.yml") if "block" in task]
    install, mark = block[-2:]
    assert "--target={{ _services_one_additions }}" in install["ansible.builtin.command"]["argv"]
    assert mark["ansible.builtin.file"]["path"] == "{{ _services_one_additions }}/.complete"
    names = [task.get("ansible.builtin.include_tasks") for task in tasks("services.yml")]
    assert names.index("old_packages.yml") > names.index("run_{{ services_init }}.yml"), "what runs still needs them"


def test_another_server_of_lupine_calls_for_a_new_start() -> None:
    first, second = (
        evaluate("services", "_services_one_digest", **LUPINE, services_lupine_sha256=x * 64) for x in "01"
    )
    assert first != second
