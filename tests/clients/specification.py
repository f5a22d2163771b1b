"""Vendors' OpenAPI files, and validators of the bodies that they describe."""

from __future__ import annotations

import functools
import json
import os
import re
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator
from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from gpurig.catalogue import ROOT

SPECS = Path(os.environ.get("GPURIG_SPECS") or ROOT.parent / "shared" / "specs")


def _shape(path: str) -> str:
    """A path with its arguments' names left out, and without the slash at its end."""
    return re.sub(r"\{\w+\}", "{}", path.rstrip("/"))


@functools.cache
def document(spec: str) -> dict[str, Any] | None:
    """A vendor's OpenAPI file; None where it is not on this machine."""
    file = SPECS / spec
    if not file.exists():
        return None
    text = file.read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text) if file.suffix == ".json" else yaml.load(text, Loader=_Yaml)  # noqa: S506
    _without_discriminators(data)
    return data


def _without_discriminators(node: Any) -> None:
    """Take out hints that only say which alternative is meant, since some name files that the one file does not hold."""
    if isinstance(node, dict):
        if isinstance(node.get("discriminator"), dict) and "mapping" in node["discriminator"]:
            del node["discriminator"]
        for part in node.values():
            _without_discriminators(part)
    elif isinstance(node, list):
        for part in node:
            _without_discriminators(part)


_Yaml: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def validator(spec: str, where: tuple[str, ...]) -> Validator | None:
    """The validator of a call's body or of one of its replies; None where the specification has none."""
    whole = document(spec)
    if whole is None:
        return None
    path, *rest = where
    shape = _shape(path)
    named = next((one for one in whole["paths"] if _shape(one) == shape), "")
    found: Any = whole["paths"].get(named)
    pointer = ["paths", named]
    for part in [*rest, "content"]:
        while isinstance(found, dict) and "$ref" in found:
            pointer = [piece.replace("~1", "/") for piece in found["$ref"].removeprefix("#/").split("/")]
            found = functools.reduce(lambda node, piece: node[piece], pointer, whole)
        if not isinstance(found, dict) or part not in found:
            return None
        found, pointer = found[part], [*pointer, part]
    kind = next((name for name in found if "json" in name), None)
    if kind is None:
        return None
    text = "/".join(piece.replace("~", "~0").replace("/", "~1") for piece in [*pointer, kind, "schema"])
    registry: Any = Registry().with_resource("urn:vendor", DRAFT202012.create_resource(whole))
    chosen: Any = OAS30Validator if str(whole["openapi"]).startswith("3.0") else Draft202012Validator
    made: Validator = chosen({"$ref": f"urn:vendor#/{text}"}, registry=registry)
    return made
