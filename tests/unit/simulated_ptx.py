"""A simulated GPU for one kernel's text: it runs the PTX instructions that this kernel uses, and refuses all others."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

LOW = 0xFFFFFFFF

SHARED = 0x1000
"""Where shared memory begins: an address of its own kind."""

ARITHMETIC: dict[str, Callable[..., int]] = {
    "mov.u32": lambda a: a,
    "cvta.to.global.u64": lambda a: a,
    "mad.lo.u32": lambda a, b, c: (a * b + c) & LOW,
    "mul.wide.u32": lambda a, b: a * b,
    "add.u64": lambda a, b: a + b,
    "add.u32": lambda a, b: (a + b) & LOW,
    "sub.u32": lambda a, b: (a - b) & LOW,
    "shl.b32": lambda a, b: (a << b) & LOW,
    "xor.b32": lambda a, b: a ^ b,
    "setp.ne.u32": lambda a, b: int(a != b),
}


@dataclass
class Gpu:
    """memory, shared: byte address → 32-bit word."""

    text: str
    memory: dict[Any, int]
    shared: dict[Any, int] = field(default_factory=dict)

    def launch(self, blocks: int, threads: int, parameters: dict[Any, int]) -> None:
        """Run all threads of all blocks, each up to the next barrier before any goes on."""
        for block in range(blocks):
            self.shared.clear()
            running = [self._thread(block, thread, threads, parameters) for thread in range(threads)]
            while running:
                running = [thread for thread in running if next(thread, "end") == "barrier"]

    def _thread(self, block: int, thread: int, threads: int, parameters: dict[Any, int]) -> Generator[str]:
        lines, labels = _program(self.text)
        registers = {"%tid.x": thread, "%ntid.x": threads, "%ctaid.x": block, "block": SHARED}
        places = {"param": parameters, "global": self.memory, "shared": self.shared}
        at = 0

        def value(word: str) -> Any:
            word = word.strip("[]")
            return registers[word] if word in registers else int(word) if word.isdigit() else word

        while lines[at][1] != "ret":
            predicate, name, words = lines[at]
            at += 1
            if predicate and not registers[predicate]:
                continue
            kind, _, space = name.rpartition(".")[0].partition(".")
            if name == "bra":
                at = labels[words[0]]
            elif name == "bar.sync":
                yield "barrier"
            elif kind == "ld":
                registers[words[0]] = places[space][value(words[1])]
            elif kind == "st":
                places[space][value(words[0])] = registers[words[1]]
            else:
                registers[words[0]] = ARITHMETIC[name](*(value(word) for word in words[1:]))


def _program(text: str) -> tuple[list[tuple[str, str, list[str]]], dict[str, int]]:
    lines: list[tuple[str, str, list[str]]] = []
    labels: dict[str, int] = {}
    for line in text[text.index("{") + 1 : text.rindex("}")].splitlines():
        if label := re.fullmatch(r"(\w+):", line.strip()):
            labels[label[1]] = len(lines)
        elif match := re.fullmatch(r"(?:@(%\w+) )?([a-z][\w.]*)\s*(.*);", line.strip()):
            lines.append((match[1] or "", match[2], [word for word in match[3].split(", ") if word]))
    return lines, labels
