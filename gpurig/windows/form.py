"""Whether plain JSON has the form that a TypedDict promises."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any


def mismatches(value: Any, form: Any, path: str, *, exact: bool = True) -> Iterator[str]:
    """Where a value has not the form of a TypedDict, list, dict or plain type. exact: more keys than promised are wrong too."""
    origin, arguments = typing.get_origin(form), typing.get_args(form)
    if origin in {typing.Union, types.UnionType}:
        if all(list(mismatches(value, one, path, exact=exact)) for one in arguments):
            yield f"{path}: {value!r} is no {form}"
    elif typing.is_typeddict(form):
        yield from _fields(value, typing.get_type_hints(form), path, exact=exact)
    elif origin in {list, dict} and isinstance(value, origin):
        for place, one in enumerate(value) if origin is list else value.items():
            yield from mismatches(one, arguments[-1], f"{path}[{place}]", exact=exact)
    elif origin is not None or not _plain(value, form):
        yield f"{path}: {value!r} is no {form}"


def fields(form: Any) -> Iterator[str]:
    """Every key that a TypedDict promises, and that those promise which are in it."""
    hints = typing.get_type_hints(form) if typing.is_typeddict(form) else {}
    yield from hints
    for inner in (*hints.values(), *typing.get_args(form)):
        yield from fields(inner)


def _fields(value: Any, hints: dict[str, Any], path: str, *, exact: bool) -> Iterator[str]:
    found = set(value) if isinstance(value, dict) else None
    if found is None or set(hints) - found or (exact and found - set(hints)):
        yield f"{path}: {sorted(found) if found is not None else value}, promised {sorted(hints)}"
        return
    for key, hint in hints.items():
        yield from mismatches(value[key], hint, f"{path}.{key}", exact=exact)


def _plain(value: Any, form: Any) -> bool:
    if form is Any:
        return True
    if isinstance(value, bool):
        return form is bool
    return isinstance(value, (int, float) if form is float else form)
