"""What a script answers, what its twin answers, and the form that state.py promises are one and the same."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from typing import Any

import pytest
import tree_sitter

from gpurig.windows import questions, state, wire
from gpurig.windows.actions import KINDS
from gpurig.windows.form import mismatches
from tests.windows import powershell
from tests.windows.homes import VARIABLES, home
from tests.windows.model import shell, twins
from tests.windows.rounds import converge


def hashes(script: str) -> Iterator[set[str]]:
    """The keys of every hashtable of a script."""

    def walk(node: tree_sitter.Node) -> Iterator[set[str]]:
        if node.type == "hash_literal_body":
            entries = [child for child in node.children if child.type == "hash_entry"]
            yield {(entry.children[0].text or b"").decode().strip("'\"") for entry in entries}
        for child in node.children:
            yield from walk(child)

    return walk(powershell.PARSER.parse(script.encode()).root_node)


def forms(form: Any) -> Iterator[Any]:
    """A TypedDict and all that are in it."""
    if typing.is_typeddict(form):
        yield form
        for hint in typing.get_type_hints(form).values():
            yield from forms(hint)
    for argument in typing.get_args(form):
        yield from forms(argument)


@pytest.mark.parametrize("section", state.SECTIONS)
def test_a_twin_answers_in_the_promised_form(section: str) -> None:
    machine = home()
    for topic in ("keeper", "network"):  # there is something to tell
        converge(machine, topic, {**VARIABLES, "win_network_reach": "direct"})
    asked = wire.request([], {section: questions.sections(VARIABLES)[section]})

    found = shell.drive(machine, json.loads(asked))["state"][section]
    assert list(mismatches(found, state.SECTIONS[section], section)) == []
    assert f"collect/{section}" in twins.load()


@pytest.mark.parametrize("section", state.SECTIONS)
def test_a_script_answers_in_the_promised_form(section: str) -> None:
    made = list(hashes(wire.script(f"collect/{section}") + wire.script("library")))
    for form in forms(state.SECTIONS[section]):
        keys = set(typing.get_type_hints(form))
        assert keys in made, f"{form.__name__}: no hashtable has just {sorted(keys)}"


@pytest.mark.parametrize("kind", KINDS)
def test_an_action_answers_whether_it_changed_something(kind: str) -> None:
    assert {"changed", "data"} in list(hashes(wire.script(f"apply/{kind}")))
