"""Every PowerShell file parses, says what it is, takes what its kind says, and has a twin."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpurig.catalogue import ROOT
from gpurig.windows import wire
from gpurig.windows.actions import KINDS
from gpurig.windows.state import SECTIONS
from tests.windows import powershell
from tests.windows.model import twins

BOOTSTRAP = (ROOT / "templates" / "bootstrap-windows.ps1.j2").read_text(encoding="ascii")

FILES = sorted(wire.FOLDER.rglob("*.ps1"))


def name(path: Path) -> str:
    return str(path.relative_to(wire.FOLDER).with_suffix(""))


def pascal(words: str) -> str:
    return "".join(word.capitalize() for word in words.split("_"))


def wished(module: Path) -> Iterator[str]:
    """Kinds of the actions that a module makes: by Action itself, or by a function of its own that returns one."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    makers = {"Action"} | {one.name for one in functions if one.returns and ast.unparse(one.returns) == "Action"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in makers and node.args:
            kind = ast.walk(node.args[0])
            yield from (one.value for one in kind if isinstance(one, ast.Constant) and isinstance(one.value, str))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_script_parses_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="ascii")
    assert powershell.mistakes(text) == []
    assert text.startswith(f"# gpurig: {name(path)}. ")


def test_the_parser_notices_what_is_broken() -> None:
    assert powershell.mistakes("if ($a) { 'b'")
    assert powershell.mistakes("$a = 'b")


@pytest.mark.parametrize(("text", "first"), [(wire.script("driver"), "foreach"), (BOOTSTRAP, "function")])
def test_what_windows_refuses_a_function_of_a_module_is_an_error(text: str, first: str) -> None:
    """Such as New-NetFirewallRule: it sees a preference of the script that calls it only where that is the global one.

    https://github.com/PowerShell/PowerShell/issues/24389
    """
    before = text.partition(f"\n{first}")[0]
    assert "$ErrorActionPreference = 'Stop'" in before
    assert "$PSDefaultParameterValues = @{ '*:ErrorAction' = 'Stop' }" in before


def test_a_preference_for_the_time_of_one_program_ends_with_it() -> None:
    eased = BOOTSTRAP.index("$ErrorActionPreference = 'Continue'")
    program, again = (BOOTSTRAP.index(one, eased) for one in ("2>&1\n", "$ErrorActionPreference = 'Stop'"))
    assert BOOTSTRAP[program:again].strip() == "2>&1"


@pytest.mark.parametrize("kind", KINDS)
def test_an_action_has_its_script_with_just_its_parameters(kind: str) -> None:
    taken = {one.name for one in powershell.parameters(wire.script(f"apply/{kind}"))}
    assert taken == {pascal(parameter) for parameter in KINDS[kind]}


@pytest.mark.parametrize("script", [*(f"collect/{one}" for one in SECTIONS), *(f"apply/{one}" for one in KINDS)])
def test_a_script_has_a_twin(script: str) -> None:
    assert script in twins.load()


def test_there_is_no_script_that_nothing_calls() -> None:
    called = {
        "driver",
        "library",
        "keeper",
        *(f"collect/{one}" for one in SECTIONS),
        *(f"apply/{one}" for one in KINDS),
    }
    assert {name(path) for path in FILES} - called == set()


def test_there_is_no_action_that_nothing_wishes() -> None:
    made = {kind for module in wire.FOLDER.parents[1].rglob("*.py") for kind in wished(module)}
    assert set(KINDS) - made == set()
