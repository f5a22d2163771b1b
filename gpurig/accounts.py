"""Accounts at vendors: whose key is here, and how the keys of a stack's configuration get to where providers look for them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from gpurig import providers, pulumi_process, stack_file
from gpurig.errors import ConfigError, RigError
from gpurig.mistakes import NAMESPACE
from gpurig.providers import Report
from gpurig.stack import Stack


def without_key(names: Iterable[str]) -> dict[str, str]:
    """Those of these vendors whose key is not here, each with what would hold it."""
    missing = {}
    for name in names:
        client = import_module(f"{providers.REGISTRY[name]}.client")
        if hasattr(client, "VENDOR"):
            lacking = "" if os.environ.get(client.VENDOR.key, "").strip() else client.VENDOR.key
        else:  # this one's key comes in ways of its own
            lacking = client.missing_key() if hasattr(client, "missing_key") else ""
        if lacking:
            missing[name] = lacking
    return missing


def put(secrets: Mapping[str, str]) -> None:
    """Put keys, by the names of their environment variables, where providers look for them; what the user's environment says wins."""
    for name, value in secrets.items():
        os.environ.setdefault(name, value)


def provide(stack: Stack, *, report: Report) -> None:
    """Put the keys under `gpurig:secrets` there.

    What cannot be read is told and left out: a command that needs it says so itself.
    """
    try:
        secrets = stack_file.read(stack.file).get("secrets") if stack.file.exists() else None
    except ConfigError as error:
        report(f"Warning: {NAMESPACE}:secrets of this stack are not used: {error}")
        return
    if not isinstance(secrets, Mapping):
        return
    plain = {str(name): value for name, value in secrets.items() if isinstance(value, str)}
    hidden = [str(name) for name, value in secrets.items() if not isinstance(value, str) and name not in os.environ]
    if hidden:
        plain |= _decrypted(stack, hidden, report)
    put(plain)


def _decrypted(stack: Stack, names: Iterable[str], report: Report) -> dict[str, str]:
    """What Pulumi encrypted, decrypted by its CLI."""
    program = pulumi_process.find()
    if program is None:
        report(f"Warning: {stack.file.name}: only Pulumi's CLI can read {', '.join(names)}; set it in the environment.")
        return {}
    try:
        cli = pulumi_process.Cli.open(program, stack, report=report)
        shown: dict[str, Any] = json.loads(cli.ask("config", "--json", "--show-secrets"))
        found = json.loads(shown[f"{NAMESPACE}:secrets"]["value"])
    except (RigError, KeyError, ValueError) as error:
        report(f"Warning: {stack.file.name}: Pulumi does not show {', '.join(names)}: {error}")
        return {}
    return {name: value for name, value in found.items() if isinstance(value, str)}
