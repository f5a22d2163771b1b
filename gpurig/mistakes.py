"""What is said about a mistake in a stack's file: where it is, what was found, what is allowed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from gpurig import providers

NAMESPACE = "gpurig"
"""What our keys in a stack's file begin with."""

NAME_RULES = {
    "hosts": "lower-case letters, digits and `-`",
    "secrets": "an environment variable's name, in capitals",
    "variables": "an Ansible variable's name: letters, digits and `_`",
    "ports": "a port from 1 to 65535",
}

PLAIN = {
    "too_short": "it is empty; name at least one",
    "expose.dict_type": "write a service and who may reach it, such as {mlflow: 192.168.1.0/24}",
}
"""What is said instead of pydantic's words: type of the mistake, or key and type."""

JARGON = ("valid dictionary or object to extract fields from", "mapping of keys to values")
"""pydantic's words, and ours."""


def explain(problem: Any, source: str, top_level: list[str]) -> str:
    """One line for one of pydantic's findings: file, key, what was found, what is allowed."""
    location = [str(part) for part in problem["loc"]]
    tag = location[2] if location[0] == "hosts" and len(location) > 2 else ""  # noqa: PLR2004 (hosts, name, tag)
    allowed = _allowed(location, top_level)
    key = f"{source}: {NAMESPACE}:{'.'.join(location)}"
    found = "a value" if location[0] == "secrets" else _shown(problem["input"])
    match problem["type"]:
        case "extra_forbidden" if elsewhere := _with_another_os(tag, location):
            return f"{key}: only with `os: {elsewhere}`; write that, or remove this."
        case "extra_forbidden":
            return (
                f"{key}: unknown key{did_you_mean(location[-1], allowed)}; allowed here: {', '.join(sorted(allowed))}."
            )
        case "missing":
            return f"{key}: missing; write it."
        case "union_tag_not_found":
            return f"{key}.provider: missing; write one of: {', '.join(sorted(providers.REGISTRY))}; or `providers` with several to rent from."
        case "union_tag_invalid":
            names = sorted(providers.REGISTRY)
            wrong = problem["ctx"]["tag"]
            return f"{key}.provider: {wrong!r} is not known{did_you_mean(wrong, names)}; allowed: {', '.join(names)}."
        case "string_type" if location[-1] == "[key]":
            word = problem["input"]
            return f"{source}: {NAMESPACE}:{location[0]}: YAML reads a name as {word!r}; write it in quotes."
        case "string_pattern_mismatch" if location[-1] == "[key]":
            rule = NAME_RULES.get(location[-3], NAME_RULES["variables"])
            return f"{source}: {NAMESPACE}:{'.'.join(location[:-1])}: not a good name; use {rule}."
        case "value_error" if location[-1] == "[key]":
            return f"{source}: {NAMESPACE}:{'.'.join(location[:-1])}: {problem['ctx']['error']}."
        case "value_error":
            return f"{key}: found {found}: {problem['ctx']['error']}."
    said = PLAIN.get(f"{location[-1]}.{problem['type']}") or PLAIN.get(problem["type"], problem["msg"])
    said = said.replace("valid tuple", "list").replace(*JARGON)
    return f"{key}: found {found}: {said[0].lower()}{said[1:]}."


def _allowed(location: list[str], top_level: list[str]) -> list[str]:
    """The keys that may stand where the finding is; takes the provider, which is no key, out of the location."""
    if location[0] == "hosts" and location[2:3] and location[2] in providers.spec_classes():
        found: Any = providers.spec_classes()[location.pop(2)]
        for part in location[2:-1]:
            inner = found.model_fields[part].annotation if part in found.model_fields else None
            found = inner if hasattr(inner, "model_fields") else found
        return list(found.model_fields)
    if location[0] == "budget" and location[1:]:
        from gpurig.budget import Budget  # which needs this module

        return list(Budget.model_fields)
    return top_level


def _with_another_os(tag: str, location: list[str]) -> str:
    """The `os` that an entry of the same provider needs for this key of its own; empty where none has it."""
    if len(location) != 3:  # noqa: PLR2004 (hosts, name, key)
        return ""
    provider = tag.split(" ", maxsplit=1)[0]
    for name, kind in providers.spec_classes().items():
        if name != tag and name.split(" ")[0] == provider and location[-1] in kind.model_fields:
            return name.partition(" ")[2] or str(kind.model_fields["os"].default)
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion in brackets, or nothing where no known word is close."""
    close = get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _shown(value: Any) -> str:
    return textwrap.shorten(repr(value), width=60, placeholder=" …")
