"""What a PowerShell script does to its PC, read from its text: its calls that can change something, as they are written.

`python -m tests.windows.calls` prints them for all scripts, in the form of model/calls.txt. Conditions, and what a script
throws or answers, are not read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter

from gpurig.windows import wire
from tests.windows import powershell

GOLDEN = Path(__file__).parent / "model" / "calls.txt"
"""What each twin stands for: exactly these calls of its script, in their order."""

READING_VERBS = frozenset(
    {"convertfrom", "convertto", "foreach", "get", "join", "measure", "select", "sort", "split", "test", "where"}
)
READING = frozenset({"new-object", "start-sleep", "export-scheduledtask"})

TELLING = frozenset({"write-line"})
"""The keeper's own log: test_keeper_twin.py holds what it says."""

READING_METHODS = frozenset(
    {
        *("abs", "addhours", "ceiling", "computehash", "containskey", "endswith", "frombase64string", "getaccessrules"),
        *("getbytes", "getcurrent", "getcurrentprocess", "getowner", "getstring", "gettemppath", "getvalue"),
        *("getvaluenames", "isinrole", "lastindexof", "max", "newguid", "readallbytes", "readalllines", "readalltext"),
        *("round", "split", "startnew", "startswith", "substring", "toarray", "tobase64string", "tolowerinvariant"),
        *("tostring", "touniversaltime", "translate", "trim", "trimend", "trimstart"),
    }
)
READING_CALLS = ("[ScriptBlock]::Create(", "[Security.Cryptography.SHA256]::Create(", "[Net.WebRequest]::Create(")


@dataclass(frozen=True, slots=True)
class Call:
    """name: a cmdlet, function or method; `&` for what is computed. text: all of it, on one line. function: that it stands in."""

    name: str
    text: str
    function: str = ""

    def __str__(self) -> str:
        return f"{self.function}: {self.text}" if self.function else self.text


def names() -> list[str]:
    """All scripts, as wire.script() calls them."""
    return sorted(path.relative_to(wire.FOLDER).with_suffix("").as_posix() for path in wire.FOLDER.rglob("*.ps1"))


def calls(script: str) -> list[Call]:
    """The calls of a script's text that can change something or start a program, in their order."""
    return [_call(node) for node in _changing(powershell.PARSER.parse(script.encode()).root_node)]


def values(script: str) -> list[str]:
    """Where the variables in those calls come from: assignments and loops, and what these are made of in turn."""
    root = powershell.PARSER.parse(script.encode()).root_node
    changing = _changing(root)
    origins = [(targets, source, _text(node, changing)) for node, targets, source in _origins(root)]
    wanted = set().union(*(_variables(_text(node, changing)) for node in changing))
    found: set[int] = set()
    while more := {place for place, (targets, _, _) in enumerate(origins) if targets & wanted} - found:
        found |= more
        wanted |= set().union(*(_variables(origins[place][1]) for place in more))
    return [origins[place][2] for place in sorted(found)]


def told(text: str) -> list[str]:
    """Lines of the golden table for a script's text."""
    return [f"  {call}" for call in calls(text)] + [f"    where {value}" for value in values(text)]


def golden() -> dict[str, list[str]]:
    """Script → its lines in the table."""
    parts = [part.splitlines() for part in GOLDEN.read_text(encoding="ascii").split("\n\n")]
    return {part[0]: part[1:] for part in parts}


def without_comments(text: str) -> str:
    """A script's text, but for what it says to people."""
    source = text.encode()
    for node in reversed(list(powershell.all_of(powershell.PARSER.parse(source).root_node, "comment"))):
        source = source[: node.start_byte] + source[node.end_byte :]
    return source.decode()


def _changing(root: tree_sitter.Node) -> list[tree_sitter.Node]:
    """Nodes of the calls. A function that has such a call within is one itself, whatever its name."""
    known = {_name(function): function for function in powershell.all_of(root, "function_statement")}
    own: set[str] = set()
    while True:
        found = [node for node in powershell.all_of(root, "command", "invokation_expression") if _changes(node, own)]
        more = {name for name, body in known.items() if any(_within(node, body) for node in found)} - TELLING
        if more == own:
            return found
        own = more


def _changes(node: tree_sitter.Node, own: set[str]) -> bool:
    if node.type == "command":
        name = _name(node)
        return name in own or not (name in READING | TELLING or name.partition("-")[0] in READING_VERBS)
    return _name(node) not in READING_METHODS and not _plain(node).startswith(READING_CALLS)


def _name(node: tree_sitter.Node) -> str:
    """In lower case, as PowerShell does not tell cases apart."""
    kinds = {"command": "command_name", "invokation_expression": "member_name", "function_statement": "function_name"}
    found = next((child for child in node.children if child.type == kinds[node.type]), None)
    return _plain(found).lower() if found else "&"


def _call(node: tree_sitter.Node) -> Call:
    body = node.parent
    while body is not None and body.type != "function_statement":
        body = body.parent
    name = next((_plain(child) for child in body.children if child.type == "function_name"), "") if body else ""
    root = node
    while root.parent is not None:
        root = root.parent
    # What comes through a pipe is what is changed.
    chain = node.parent if node.type == "command" else None
    piped = chain is not None and sum(child.type == "command" for child in chain.children) > 1
    return Call(_name(node), _text(chain if chain is not None and piped else node, _changing(root)), name)


def _origins(root: tree_sitter.Node) -> Iterator[tuple[tree_sitter.Node, set[str], str]]:
    """Assignments and loops: the node to show, the variables that get a value, what that is made of."""
    for node in powershell.all_of(root, "assignment_expression"):
        left = re.sub(r"\[[^\[\]]*(\[\])?\]", "", _plain(node.children[0]))
        yield node, _variables(left), _plain(node)
    for node in powershell.all_of(root, "foreach_statement"):
        head = [child for child in node.children if child.type in {"variable", "pipeline"}]
        yield node, _variables(_plain(head[0])), _plain(node)


def _variables(text: str) -> set[str]:
    return {name.lower() for name in re.findall(r"[$@]\{?([A-Za-z]\w*)(?![\w:]*:)", text)} - {
        "null",
        "true",
        "false",
        "_",
    }


def _text(node: tree_sitter.Node, changing: list[tree_sitter.Node]) -> str:
    """On one line, without comments; blocks with calls of their own are left out, since those stand for themselves."""
    if node.type == "foreach_statement":
        kept = [child for child in node.children if child.type != "statement_block"]
        return " ".join(_plain(child) for child in kept).replace("( ", "(").replace(" )", ")")
    source, begin = node.text or b"", node.start_byte
    for inner in reversed(list(powershell.all_of(node, "comment", "script_block_expression"))):
        new = b"" if inner.type == "comment" else b"{ ... }"
        if new and not any(_within(call, inner) and call != node for call in changing):
            continue
        source = source[: inner.start_byte - begin] + new + source[inner.end_byte - begin :]
    return " ".join(source.decode().replace("`\n", " ").split()).replace("@( ", "@(")


def _plain(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode()


def _within(node: tree_sitter.Node, outer: tree_sitter.Node) -> bool:
    return outer.start_byte <= node.start_byte and node.end_byte <= outer.end_byte


if __name__ == "__main__":
    print("\n\n".join("\n".join([name, *told(wire.script(name))]) for name in names()))  # noqa: T201  # that is what it is for
