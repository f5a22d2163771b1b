"""What is wrong with the settings of a host's services, which are maps by service under its `variables:`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gpurig import catalogue, services
from gpurig.environment_keys import COMMIT
from gpurig.mistakes import did_you_mean
from gpurig.spec import HostSpec

FIRST_OPEN_PORT = 1024
"""Ports below are root's alone (Linux' net.ipv4.ip_unprivileged_port_start)."""

MEMORY = re.compile(r"infinity|[0-9]+(\.[0-9]+)?\s*[BKMGTPE]?|[0-9]+(\.[0-9]{1,2})?%")
"""What systemd takes for MemoryMax (systemd.resource-control); nought and more than 100% it does not."""

MAPS = {
    "services_checkouts": "{nanochat: {url: /srv/nanochat.git, commit: …}}",
    "services_environments": "{jupyter: pytorch}",
    "services_memory_max": "{jupyter: 16G}",
    "services_ports": "{jupyter: 8889}",
    "services_variables": "{api: {API_QUEUE: 64}}",
}
"""Variables that are maps by service → an example of each."""

OF_LUPINE = {
    "services_lupine_url": "write the address of its server program",
    "services_lupine_sha256": "write the SHA-256 of the file at services_lupine_url, 64 hexadecimal digits",
}
"""Variables that Lupine needs, since it comes from no package → what to write."""

SHA256 = re.compile(r"[0-9a-fA-F]{64}")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def problems(spec: HostSpec) -> Iterator[tuple[str, str]]:
    """What is wrong: key of the host's entry → what was found and what to write, without a full stop."""
    known = catalogue.services()
    for variable, example in MAPS.items():
        value = spec.variables.get(variable, {})
        if not isinstance(value, Mapping) and not is_template(value):
            yield f"variables.{variable}", f"found {value!r}: write a map such as {example}"
        for name in map_of(spec, variable):
            if name not in known:
                problem = f"no such service{did_you_mean(str(name), known)}; there are: {', '.join(known)}"
                yield f"variables.{variable}.{name}", problem
    if "services_expose" in spec.variables:
        yield "variables.services_expose", "write it as the key `expose` of this host, which verification reads too"
    yield from _values(spec)
    yield from _variables(spec)
    yield from _checkouts(spec)
    yield from _lupine(spec)


def first_port(spec: HostSpec) -> int:
    """The lowest port that this host's services may listen at."""
    from gpurig import providers  # only here, since most entries name no such port

    ports = [port for port in map_of(spec, "services_ports").values() if isinstance(port, int)]
    if not any(port < FIRST_OPEN_PORT for port in ports) or spec.variables.get("services_user") == "root":
        return 1
    roots = [providers.provider(name).capabilities(spec).privilege == "root" for name in spec.sources()]
    return 1 if all(roots) and "services_user" not in spec.variables else FIRST_OPEN_PORT


def map_of(spec: HostSpec, variable: str) -> Mapping[Any, Any]:
    """A variable that is a map; empty where it is none, or a template, whose value only Ansible knows."""
    found = spec.variables.get(variable)
    return found if isinstance(found, Mapping) else {}


def is_template(value: Any) -> bool:
    """Ansible fills it in, so that nobody knows it yet."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _values(spec: HostSpec) -> Iterator[tuple[str, str]]:
    for name, environment in map_of(spec, "services_environments").items():
        if not is_template(environment) and environment not in catalogue.environments():
            there = catalogue.environments()
            problem = f"no such environment{did_you_mean(str(environment), there)}; there are: {', '.join(there)}"
            yield f"variables.services_environments.{name}", f"found {environment!r}: {problem}"
    for name, memory in map_of(spec, "services_memory_max").items():
        if not is_template(memory) and not _is_memory(memory):
            problem = f"found {memory!r}: write what systemd takes, such as 16G, 512M, 50% or infinity"
            yield f"variables.services_memory_max.{name}", problem


def _variables(spec: HostSpec) -> Iterator[tuple[str, str]]:
    """Environment variables, each of which is one line of a file."""
    for service, given in map_of(spec, "services_variables").items():
        key = f"variables.services_variables.{service}"
        if not isinstance(given, Mapping):
            if not is_template(given):
                yield key, f"found {given!r}: write a map of environment variables, such as {{API_QUEUE: 64}}"
            continue
        for name, value in given.items():
            if not isinstance(name, str) or not NAME.fullmatch(name):
                yield key, f"found {name!r}: write an environment variable's name: letters, digits and `_`"
            elif isinstance(value, bool) or not isinstance(value, str | int | float) or "\n" in str(value):
                yield f"{key}.{name}", f"found {value!r}: write one line of text, in quotes, or a number"


def _checkouts(spec: HostSpec) -> Iterator[tuple[str, str]]:
    for service, given in map_of(spec, "services_checkouts").items():
        key = f"variables.services_checkouts.{service}"
        if service in catalogue.services() and "checkout" not in services.described(service):
            yield key, f"{service} comes from no repository; remove this"
        elif not isinstance(given, Mapping) or set(given) != {"url", "commit"}:
            if not is_template(given):
                yield key, f"found {given!r}: write url and commit, as in {MAPS['services_checkouts']}"
        elif not is_template(given["commit"]) and not COMMIT.fullmatch(str(given["commit"])):
            yield f"{key}.commit", f"found {given['commit']!r}: write the commit's full hash, 40 characters"
        elif not isinstance(given["url"], str) or not given["url"]:
            yield f"{key}.url", f"found {given['url']!r}: write the repository's address, or its folder on the host"


def _lupine(spec: HostSpec) -> Iterator[tuple[str, str]]:
    if "lupine" not in spec.services:
        return
    for variable, what in OF_LUPINE.items():
        value = spec.variables.get(variable)
        text = value if isinstance(value, str) else ""
        fine = SHA256.fullmatch(text) if variable.endswith("sha256") else "://" in text
        if not fine and not is_template(value):
            found = f"found {value!r}" if value else "lupine comes from no package"
            yield f"variables.{variable}", f"{found}: {what}"


def _is_memory(value: Any) -> bool:
    text = str(value)
    if isinstance(value, bool) or MEMORY.fullmatch(text) is None:
        return False
    number = float(re.match(r"[0-9.]*", text).group() or "1")  # type: ignore[union-attr]  # it matches the empty text too
    return 0 < number <= 100 if text.endswith("%") else number > 0  # noqa: PLR2004 (per cent)
