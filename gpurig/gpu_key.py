"""How a user writes which GPUs a host has, or shall have: `gpu: RTX 4090` or `gpu: {name: RTX 4090, count: 2}`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from gpurig import gpus
from gpurig.mistakes import did_you_mean

TYPES = {"name": "string", "count": "integer", "memory": "number"}
"""Key within the mapping → its type, for editors."""


def flat(data: Any, keys: Collection[str]) -> Any:
    """An entry in which `gpu: {name, count, …}` has become keys of their own. keys: those besides `name`.

    Raises ValueError where one is written twice. A mapping that has a mistake stays, and the key `gpu` says it.
    """
    if not isinstance(data, dict) or not isinstance(data.get("gpu"), dict):
        return data
    nested = dict(data["gpu"])
    if {*nested} - {"name", *keys} or "name" not in nested:
        return data
    if twice := sorted({*keys} & {*nested} & {*data}):
        raise ValueError(f"gpu.{twice[0]}: `{twice[0]}` is written twice")
    rest = {key: value for key, value in data.items() if key != "gpu"}
    return {**rest, "gpu": nested.pop("name"), **nested}


def name_or_mapping(*keys: str) -> Any:
    """What changes the schema of `gpu`, so that editors know both ways to write it."""

    def change(schema: dict[str, Any]) -> None:
        inner = {key: {"type": TYPES[key]} for key in ("name", *keys)}
        mapping = {"type": "object", "properties": inner, "required": ["name"], "additionalProperties": False}
        plain = schema.pop("anyOf", None) or [{"type": schema.pop("type")}]
        schema["anyOf"] = [*plain, mapping]

    return change


def _canonical(name: str) -> str:
    found = gpus.find(name)
    if found is None:
        several = gpus.ambiguous(name)
        if several:
            raise ValueError(f"which one: {' or '.join(several)}?")
        raise ValueError(f"no such GPU is known{did_you_mean(name, gpus.names())}; see gpurig/gpus.toml for the names")
    return found.name


def _no_mapping(keys: Collection[str]) -> BeforeValidator:
    """A mapping comes here only where it has a mistake of its own; it must not hide those of other keys."""

    def check(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        unknown = sorted(str(key) for key in value if key not in ("name", *keys))
        what = f"unknown key {unknown[0]!r}" if unknown else "`name` is missing"
        raise ValueError(f"{what}; write {{name: RTX 4090, count: 1}}")

    return BeforeValidator(check)


WISH, OWN = ("count", "memory"), ("count",)
"""What may stand beside `name`: of a GPU to rent, and of one's own."""

WantedGpu = Annotated[str, AfterValidator(_canonical), _no_mapping(WISH)]
OwnGpu = Annotated[str, AfterValidator(_canonical), _no_mapping(OWN)]
