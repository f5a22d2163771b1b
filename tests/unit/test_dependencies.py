"""Dependencies point one way: the core knows no Pulumi, Ansible or Fabric, and its users do not know each other."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpurig import catalogue, providers

PACKAGE = catalogue.ROOT / "gpurig"
ENGINES = {"pulumi", "ansible", "fabric", "invoke", "mitogen"}
ALLOWED = {
    "program.py": {"pulumi"},
    "providers/aws/program.py": {"pulumi"},
    "cli.py": {"fabric", "invoke"},
    "ops": {"fabric", "invoke"},
}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_the_engine_it_is_made_for(path: Path) -> None:
    inside = path.relative_to(PACKAGE)
    used = {name.split(".")[0] for name in imports(path)} & ENGINES
    assert used <= ALLOWED.get(str(inside), ALLOWED.get(inside.parts[0], set()))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_does_not_know_its_users(path: Path) -> None:
    top = path.relative_to(PACKAGE).parts[0]
    if top not in ("cli.py", "ops"):
        assert not [name for name in imports(path) if name.startswith(("gpurig.ops", "gpurig.cli", "gpurig.program"))]


@pytest.mark.parametrize("name", sorted(providers.REGISTRY))
def test_providers_do_not_know_each_other(name: str) -> None:
    others = tuple(package for other, package in providers.REGISTRY.items() if other != name)
    for path in (PACKAGE / "providers" / name).glob("*.py"):
        assert not [module for module in imports(path) if module.startswith(others)]


def test_nothing_outside_the_providers_names_one() -> None:
    """What differs is data on the record: no role, playbook, task or core module branches on a provider's name."""
    for path in [
        *modules(),
        *(catalogue.ROOT / "roles").rglob("*.yml"),
        *(catalogue.ROOT / "playbooks").rglob("*.yml"),
    ]:
        if "providers" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert not any(
                f'provider == "{name}"' in text or f"provider == '{name}'" in text for name in providers.REGISTRY
            ), path


def test_the_inventory_and_status_load_no_heavy_package() -> None:
    code = "import sys, gpurig.records, gpurig.stack; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pydantic", "jinja2", "yaml", "rich", "fabric", "pulumi"} & set(done.stdout.split())
