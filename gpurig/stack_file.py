"""`Pulumi.<stack>.yaml` as YAML: strict, and not yet understood; see gpurig.config."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from gpurig.errors import ConfigError
from gpurig.mistakes import NAMESPACE, did_you_mean

PULUMIS_KEYS = ("config", "encryptionsalt", "encryptedkey", "environment", "secretsprovider")
"""What Pulumi itself knows at the top of a stack's file."""


def read(file: Path) -> dict[str, Any]:
    """The keys of the file's `gpurig:` namespace, without it. Raises ConfigError for what is not such a file."""
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 (a SafeLoader)
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: not there. Copy Pulumi.example.yaml to it, or give another --stack.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file.name}: not UTF-8 text: byte {error.start} is 0x{error.object[error.start]:02x}."
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file.name}: not valid YAML: {_where(error)}") from error
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise ConfigError(f"{file.name}: key `config`: missing; write `config:` with `gpurig:hosts:` under it.")
    mistakes = [
        f"{file.name}: {key}: unknown key{did_you_mean(str(key), PULUMIS_KEYS)}."
        for key in document
        if key not in PULUMIS_KEYS
    ]
    mistakes += [
        f"{file.name}: {key}: unknown key (did you mean '{NAMESPACE}:{key.split(':')[-1]}'?)."
        for key in map(str, config)
        if not key.startswith(f"{NAMESPACE}:") and get_close_matches(key.split(":")[0], [NAMESPACE], cutoff=0.75)
    ]
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    prefix = f"{NAMESPACE}:"
    return {key.removeprefix(prefix): value for key, value in config.items() if str(key).startswith(prefix)}


def _where(error: yaml.YAMLError) -> str:
    return re.sub(r'\s+in "<unicode string>",', ",", str(error)).replace("\n", " ")


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, which YAML libraries silently let win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise yaml.MarkedYAMLError(problem=f"key {key!r} is there twice", problem_mark=key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)
