"""Reads Prometheus' text format as strictly as its specification allows, and our own rules on top."""

from __future__ import annotations

import re
from collections.abc import Iterator


def samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Prometheus' text format, read strictly: each family is announced once, as a gauge, and its samples stand together."""
    assert text.endswith("\n")
    announced, family, seen = set[str](), "", set[str]()
    lines = text.removesuffix("\n").split("\n")
    for before, line in zip(["", *lines], lines, strict=False):
        if match := re.fullmatch(r"# HELP ([a-z_:][a-z0-9_:]*) [^\n]+", line):
            family = match[1]
            assert family not in announced
            announced.add(family)
        elif line.startswith("#"):
            assert line == f"# TYPE {family} gauge"
            assert before.startswith(f"# HELP {family} ")
        else:
            match = re.fullmatch(r'(\w+)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\} (-?[0-9.]+(?:e[+-]?\d+)?)', line)
            assert match, line
            assert match[1] == family
            assert line.rpartition(" ")[0] not in seen
            seen.add(line.rpartition(" ")[0])
            labels = re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', match[2])
            plain = {key: re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m[1], m[1]), value) for key, value in labels}
            yield match[1], plain, float(match[3])
