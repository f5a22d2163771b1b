"""What a PowerShell script does to its PC, read from its text: its calls that can change something, as they are written.

`python -m tests.windows.calls` writes the tables in model/calls anew. What a script throws or answers is not in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter

from gpurig.windows import wire
from tests.windows import powershell

TABLES = Path(__file__).parent / "model" / "calls"
"""What each twin stands for: exactly these calls of its script, in their order, behind these conditions."""

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


def calls(text: str) -> list[Call]:
    """The calls of a script's text that can change something or start a program, in their order."""
    return _Script(text).calls()


def told(text: str) -> list[str]:
    """Lines of a table for a script's text: its calls and the conditions before them; then where their variables come from."""
    script = _Script(text)
    return [f"  {line}" for line in script.lines()] + [f"    where {line}" for line in script.values()]


def table(script: str) -> Path:
    """The file that a script stands in."""
    return TABLES / f"{script.partition('/')[0]}.txt"


def golden() -> dict[str, list[str]]:
    """Script → its lines in the tables."""
    parts = [part.splitlines() for path in TABLES.iterdir() for part in path.read_text(encoding="ascii").split("\n\n")]
    return {part[0]: part[1:] for part in parts}


def without_comments(text: str) -> str:
    """A script's text, but for what it says to people."""
    source = text.encode()
    for node in reversed(list(powershell.all_of(powershell.PARSER.parse(source).root_node, "comment"))):
        source = source[: node.start_byte] + source[node.end_byte :]
    return source.decode()


class _Script:
    """A script's tree. changing: nodes of its calls; a function with such a call within is one itself, whatever its name."""

    def __init__(self, text: str) -> None:
        self.root = powershell.PARSER.parse(text.encode()).root_node
        known = {_name(function): function for function in powershell.all_of(self.root, "function_statement")}
        all_calls = list(powershell.all_of(self.root, "command", "invokation_expression"))
        own: set[str] | None = None
        more: set[str] = set()
        while own != more:
            own = more
            self.changing = [node for node in all_calls if _changes(node, own)]
            more = {name for name, body in known.items() if _holds(body, self.changing)} - TELLING

    def calls(self) -> list[Call]:
        return [Call(_name(node), self.text(_piped(node)), _function(node)) for node in self.changing]

    def lines(self) -> list[str]:
        found = [(node.start_byte, str(call)) for node, call in zip(self.changing, self.calls(), strict=True)]
        return [line for _, line in sorted([*found, *((node.start_byte, line) for node, line in self.conditions())])]

    def conditions(self) -> Iterator[tuple[tree_sitter.Node, str]]:
        """Those on which a call depends, or an end."""
        for node in powershell.all_of(self.root, "if_statement", "elseif_clause"):
            condition, block = (next(child for child in node.children if child.type == kind) for kind in _IF)
            rest = [child for child in node.children if child.type in {"elseif_clauses", "else_clause"}]
            last = [child for part in block.children if part.type == "statement_list" for child in part.children]
            ends = [_plain(end).split()[0] for end in last if end.type == "flow_control_statement"]
            if ends or any(_holds(part, self.changing) for part in (block, *rest)):
                where = f"{_function(node)}: " if _function(node) else ""
                yield node, " ".join([f"{where}if ({self.text(condition)})", *ends[:1]])

    def values(self) -> list[str]:
        """Assignments and loops that the calls and conditions draw on, and what these are made of in turn."""
        origins = sorted(self.origins())
        wanted = _variables("\n".join(self.lines()))
        found: set[int] = set()
        while more := {place for place, _, targets, _ in origins if targets & wanted} - found:
            found |= more
            wanted |= set().union(*(_variables(source) for place, _, _, source in origins if place in more))
        listed = {call.text for call in self.calls()}
        return [line for place, line, _, _ in origins if place in found and line.partition(" = ")[2] not in listed]

    def origins(self) -> Iterator[tuple[int, str, set[str], str]]:
        """Where it stands, on one line, the variables that get a value, what that is made of."""
        for node in powershell.all_of(self.root, "assignment_expression"):
            left = re.sub(r"\[[^\[\]]*(\[\])?\]", "", _plain(node.children[0]))
            yield node.start_byte, self.text(node), _variables(left), _plain(node)
        for node in powershell.all_of(self.root, "foreach_statement"):
            one, many = (
                next(child for child in node.children if child.type == kind) for kind in ("variable", "pipeline")
            )
            line = f"foreach ({_plain(one)} in {self.text(many)})"
            yield node.start_byte, line, _variables(_plain(one)), line

    def text(self, node: tree_sitter.Node) -> str:
        """On one line, without comments; blocks with calls of their own are left out, since those stand for themselves."""
        source, begin = node.text or b"", node.start_byte
        inner = [one for one in powershell.all_of(node, "script_block_expression") if _holds(one, self.changing)]
        outer = [one for one in inner if not any(_within(one, other) and one != other for other in inner)]
        comments = [
            one for one in powershell.all_of(node, "comment") if not any(_within(one, block) for block in outer)
        ]
        for one in sorted([*outer, *comments], key=lambda one: one.start_byte, reverse=True):
            new = b"{ ... }" if one in outer else b""
            source = source[: one.start_byte - begin] + new + source[one.end_byte - begin :]
        return " ".join(source.decode().replace("`\n", " ").split()).replace("@( ", "@(")


_IF = ("pipeline", "statement_block")


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


def _function(node: tree_sitter.Node) -> str:
    """The function that it stands in, or nothing."""
    body = node.parent
    while body is not None and body.type != "function_statement":
        body = body.parent
    return next(_plain(child) for child in body.children if child.type == "function_name") if body else ""


def _piped(node: tree_sitter.Node) -> tree_sitter.Node:
    """What comes through a pipe is what is changed."""
    chain = node.parent if node.type == "command" else None
    return chain if chain is not None and sum(child.type == "command" for child in chain.children) > 1 else node


def _variables(text: str) -> set[str]:
    found = re.findall(r"[$@]\{?([A-Za-z]\w*)(?![\w:]*:)", text)
    return {name.lower() for name in found} - {"null", "true", "false"}


def _plain(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode()


def _holds(node: tree_sitter.Node, changing: Iterable[tree_sitter.Node]) -> bool:
    return any(_within(one, node) for one in changing)


def _within(node: tree_sitter.Node, outer: tree_sitter.Node) -> bool:
    return outer.start_byte <= node.start_byte and node.end_byte <= outer.end_byte


def _write() -> None:
    parts: dict[Path, list[str]] = {}
    for name in names():
        parts.setdefault(table(name), []).append("\n".join([name, *told(wire.script(name))]))
    for path, texts in parts.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n\n".join(texts) + "\n", encoding="ascii")


if __name__ == "__main__":
    _write()
