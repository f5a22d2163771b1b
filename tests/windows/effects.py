"""What a PowerShell script does and answers, read from its tree: its statements, but for those that do neither."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import tree_sitter

from tests.windows import powershell

Cut = tuple[tree_sitter.Node, str]
"""What is left out, and the words that stand for it."""

SPREAD = ((re.compile(r"(?<=\()\s*\n\s*|\s*\n\s*(?=\))"), ""), (re.compile(r"[ `]*\n\s*"), " "))
"""What a break becomes where a statement is put onto one line."""

ALIGNED = re.compile(r" {2,}= ")

READING_VERBS = frozenset(
    {"convertfrom", "convertto", "foreach", "get", "join", "measure", "select", "sort", "split", "test", "where"}
)
READING = frozenset({"new-object", "start-sleep", "export-scheduledtask", "resolve-path"})

HEEDED = frozenset({"erroractionpreference", "psdefaultparametervalues"})
"""Variables that PowerShell itself looks at: whether what Windows refuses is an error."""

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

JOINED = 130
"""Signs: what stands alone in a block goes onto the line before it, up to this."""


@dataclass(frozen=True, slots=True)
class Call:
    """name: a cmdlet, function or method; `&` for what is computed. text: all of it, on one line. function: that it stands in."""

    name: str
    text: str
    function: str = ""


class Script:
    """changing: nodes of calls; a function with such a call within is one itself, whatever its name. wanted: variables in lines()."""

    def __init__(self, text: str) -> None:
        self.root = powershell.PARSER.parse(text.encode()).root_node
        self.wanted = set(HEEDED)
        known = {_name(function): function for function in powershell.all_of(self.root, "function_statement")}
        all_calls = list(powershell.all_of(self.root, "command", "invokation_expression"))
        own: set[str] | None = None
        more: set[str] = set()
        while own != more:
            own = more
            self.changing = [node for node in all_calls if _changes(node, own)]
            more = {name for name, body in known.items() if _holds(body, self.changing)}

    def calls(self) -> list[Call]:
        return [Call(_name(node), self.text(_piped(node)), _function(node)) for node in self.changing]

    def lines(self) -> list[str]:
        """All but those that only set a variable that no other line needs."""
        while more := _variables("\n".join(found := self.block(self.root))) - self.wanted:
            self.wanted |= more
        return found

    def block(self, node: tree_sitter.Node) -> list[str]:
        """The lines of a block, or of the whole script."""
        found = [line for one in _statements(node) for line in self.statement(one)]
        takes = [self.text(one) for one in _body(node).children if one.type == "param_block"]
        return [*takes, *found] if found else []

    def statement(self, node: tree_sitter.Node) -> list[str]:
        """Its words, with the lines of its blocks after them, further in."""
        if not self.counts(node):
            return []
        if _child(node, "throw") and not _holds(node, self.changing):
            return ["throw"]
        blocks = self.opened(node)
        if not blocks:
            return self.spread(node) if self.hashes(node) else [self.text(node)]
        begin, parts = node.start_byte, list[tuple[str, list[str]]]()
        for block in blocks:
            parts.append((_words(node, begin, block.start_byte).removesuffix("{").rstrip(), self.block(block)))
            begin = block.end_byte
        rest = _words(node, begin, node.end_byte).removeprefix("}").lstrip()
        if not any(inner for _, inner in parts) and not _holds(node, self.changing):
            return []
        if all(len(inner) < 2 for _, inner in parts):
            joined = " ".join([*(" ".join([words, "{", *inner, "}"]) for words, inner in parts), rest])
            if len(joined) <= JOINED:
                return [joined.rstrip().replace("} )", "})")]
        return [line for words, inner in [*parts, (rest, [])] for line in (words, *_further_in(inner)) if line]

    def counts(self, node: tree_sitter.Node) -> bool:
        """Whether it does more than to set a variable that nothing needs."""
        assigned = _child(node, "assignment_expression") if node.type == "pipeline" else None
        if not assigned or _holds(node, self.changing):
            return True
        left = _variables(re.sub(r"\[[^\[\]]*(\[\])?\]", "", _plain(assigned.children[0])))
        return not left or bool(left & self.wanted)

    def opened(self, node: tree_sitter.Node) -> list[tree_sitter.Node]:
        """The blocks of a statement that have lines of their own: within a value, long ones and those that change the PC."""
        found: list[tree_sitter.Node] = []
        value = node.type in {"pipeline", "flow_control_statement"}
        for one in powershell.all_of(node, "statement_block", "script_block_expression", "script_block"):
            if any(_within(one, other) for other in found):
                continue
            long = _holds(one, self.changing) or len(list(_statements(one))) > 1
            if long and not self.hashes(node) if value else not _inside(one, "pipeline", node):
                found.append(one)
        return found

    def hashes(self, node: tree_sitter.Node) -> bool:
        """Whether it makes a hashtable of several lines, by itself and not within what it does."""
        blocks = [one for one in powershell.all_of(node, "script_block_expression") if _holds(one, self.changing)]
        made = [one for one in powershell.all_of(node, "hash_literal_expression") if b"\n" in (one.text or b"")]
        return any(not any(_within(one, block) for block in blocks) for one in made)

    def text(self, node: tree_sitter.Node) -> str:
        """On one line; blocks with calls of their own are left out, since those stand for themselves."""
        blocks = [one for one in powershell.all_of(node, "script_block_expression") if _holds(one, self.changing)]
        return _words(node, node.start_byte, node.end_byte, [(one, "{ ... }") for one in blocks])

    def spread(self, node: tree_sitter.Node) -> list[str]:
        """On as many lines as in the script."""
        first, *rest = [line for line in _without(node, node.start_byte, node.end_byte).splitlines() if line.strip()]
        margin = min(len(line) - len(line.lstrip()) for line in rest)
        return [ALIGNED.sub(" = ", line.rstrip()) for line in (first, *(line[margin:] for line in rest))]


def without_comments(text: str) -> str:
    """A script's text, but for what it says to people."""
    root = powershell.PARSER.parse(text.encode()).root_node
    return _without(root, 0, root.end_byte)


def _words(node: tree_sitter.Node, begin: int, end: int, blocks: Iterable[Cut] = ()) -> str:
    """On one line, as it is without the breaks."""
    text = _without(node, begin, end, blocks)
    for one, instead in SPREAD:
        text = one.sub(instead, text)
    return ALIGNED.sub(" = ", text).strip()


def _without(node: tree_sitter.Node, begin: int, end: int, blocks: Iterable[Cut] = ()) -> str:
    """The text of a node from begin to end without its comments, and with other words for some blocks."""
    source, place, found = node.text or b"", begin, b""
    comments = [(one, "") for one in powershell.all_of(node, "comment")] if b"#" in source else []
    for one, words in sorted([*comments, *blocks], key=lambda cut: cut[0].start_byte):
        if place <= one.start_byte and one.end_byte <= end:
            found += source[place - node.start_byte : one.start_byte - node.start_byte] + words.encode()
            place = one.end_byte
    return (found + source[place - node.start_byte : end - node.start_byte]).decode()


def _further_in(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _body(node: tree_sitter.Node) -> tree_sitter.Node:
    """What a block holds: statements, and what it takes."""
    return _child(node, "script_block") or node


def _statements(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    body = _body(node)
    for part in (_child(body, "script_block_body") or body).children:
        for one in part.children if part.type == "statement_list" else [part]:
            if one.is_named and one.type not in {"comment", "empty_statement", "param_block"}:
                yield one


def _child(node: tree_sitter.Node, kind: str) -> tree_sitter.Node | None:
    return next((one for one in node.children if one.type == kind), None)


def _inside(node: tree_sitter.Node, kind: str, outer: tree_sitter.Node) -> bool:
    """Whether one of a kind is between it and one around it."""
    while (node := node.parent or outer) != outer:
        if node.type == kind:
            return True
    return False


def _changes(node: tree_sitter.Node, own: set[str]) -> bool:
    if node.type == "command":
        name = _name(node)
        return name in own or not (name in READING or name.partition("-")[0] in READING_VERBS)
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
