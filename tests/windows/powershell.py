"""What can be said of a PowerShell script without PowerShell: whether it parses, and which parameters it takes."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter
import tree_sitter_powershell

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))


@dataclass(frozen=True, slots=True)
class Parameter:
    """name: in PascalCase, as the script has it. allowed: its ValidateSet, if any."""

    name: str
    mandatory: bool
    allowed: tuple[str, ...] = ()


def mistakes(script: str) -> list[str]:
    """Where a script does not parse: line and the text there."""
    tree = PARSER.parse(script.encode())
    return [
        f"line {node.start_point.row + 1}: {(node.text or b'').decode()[:60]!r}" for node in _errors(tree.root_node)
    ]


@functools.cache
def parameters(script: str) -> tuple[Parameter, ...]:
    """The parameters of a script's own param block; none where it has no such block."""
    root = PARSER.parse(script.encode()).root_node
    block = next((node for node in root.children if node.type == "param_block"), None)
    if block is None:
        return ()
    return tuple(_parameter((node.text or b"").decode()) for node in _of_type(block, "script_parameter"))


def all_of(node: tree_sitter.Node, *kinds: str) -> Iterator[tree_sitter.Node]:
    """All nodes of these kinds in a tree, those within others too, in the order of the text."""
    if node.type in kinds:
        yield node
    for child in node.children:
        yield from all_of(child, *kinds)


def _parameter(text: str) -> Parameter:
    names = re.findall(r"\$(\w+)", re.sub(r"\[[^\]]*\]", "", text))
    allowed = re.search(r"ValidateSet\(([^)]*)\)", text)
    return Parameter(
        name=names[0],
        mandatory="Mandatory = $true" in text,
        allowed=tuple(re.findall(r"'([^']*)'", allowed[1])) if allowed else (),
    )


def _of_type(node: tree_sitter.Node, kind: str) -> Iterator[tree_sitter.Node]:
    for child in node.children:
        if child.type == kind:
            yield child
        else:
            yield from _of_type(child, kind)


def _errors(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    if node.type == "ERROR" or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from _errors(child)
