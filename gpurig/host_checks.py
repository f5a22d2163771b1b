"""What would be found wrong with a host's entry only after minutes of installing it, told before anything is made or rented.

Reads the folders of the environments that the host names, and what its provider says of its machines. Roles check the
same again, since variables may come from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gpurig import catalogue, exposure, services
from gpurig.errors import ConfigError
from gpurig.mistakes import did_you_mean
from gpurig.spec import HostSpec

SSH_PORT = 22

MEMORY = re.compile(r"infinity|[0-9]+(\.[0-9]+)?\s*[BKMGTPE]?|[0-9]+(\.[0-9]{1,2})?%")
"""What systemd takes for MemoryMax (systemd.resource-control); nought and more than 100% it does not."""

OF_LUPINE = {
    "services_lupine_url": "write the address of its server program",
    "services_lupine_sha256": "write the SHA-256 of the file at services_lupine_url, 64 hexadecimal digits",
}
"""Variables that Lupine needs, since it comes from no package → what to write."""

SHA256 = re.compile(r"[0-9a-fA-F]{64}")

MAPS = {
    "environments_sources": "{nanochat: {url: /srv/nanochat, commit: …}}",
    "services_environments": "{jupyter: pytorch}",
    "services_memory_max": "{jupyter: 16G}",
}
"""Variables that are maps → an example of each."""


def problems(spec: HostSpec) -> Iterator[tuple[str, str]]:
    """What is wrong with a host's entry: its key → what was found and what to write, without a full stop."""
    for key, names in (("environments", spec.environments), ("services", spec.services)):
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                yield key, f"{name} is there twice; name it once"
    for variable, example in MAPS.items():
        value = spec.variables.get(variable, {})
        if not isinstance(value, Mapping) and not _template(value):
            yield f"variables.{variable}", f"found {value!r}: write a map such as {example}"
    yield from spec.problems()
    yield from _settings_of_services(spec)
    yield from _lupine(spec)
    yield from _what_services_run_from(spec)
    yield from _folders(spec)
    yield from _gpu_software(spec)


def _map(spec: HostSpec, variable: str) -> Mapping[Any, Any]:
    """A variable that is a map; empty where it is none, or a template, whose value only Ansible knows."""
    found = spec.variables.get(variable)
    return found if isinstance(found, Mapping) else {}


def _settings_of_services(spec: HostSpec) -> Iterator[tuple[str, str]]:
    known = catalogue.services()
    for variable in ("services_environments", "services_memory_max", "services_ports"):
        for name in _map(spec, variable):
            if name not in known:
                problem = f"no such service{did_you_mean(str(name), known)}; there are: {', '.join(known)}"
                yield f"variables.{variable}.{name}", problem
    for name, environment in _map(spec, "services_environments").items():
        if not _template(environment) and environment not in catalogue.environments():
            there = catalogue.environments()
            problem = f"no such environment{did_you_mean(str(environment), there)}; there are: {', '.join(there)}"
            yield f"variables.services_environments.{name}", f"found {environment!r}: {problem}"
    for name, port in _map(spec, "services_ports").items():
        if port == SSH_PORT:
            problem = f"found {port}: SSH listens there; write another port"
            yield f"variables.services_ports.{name}", problem
    for name, memory in _map(spec, "services_memory_max").items():
        if not _template(memory) and not _is_memory(memory):
            problem = f"found {memory!r}: write what systemd takes, such as 16G, 512M, 50% or infinity"
            yield f"variables.services_memory_max.{name}", problem


def _lupine(spec: HostSpec) -> Iterator[tuple[str, str]]:
    if "lupine" not in spec.services:
        return
    for variable, what in OF_LUPINE.items():
        value = spec.variables.get(variable)
        text = value if isinstance(value, str) else ""
        fine = SHA256.fullmatch(text) if variable.endswith("sha256") else "://" in text
        if not fine and not _template(value):
            found = f"found {value!r}" if value else "lupine comes from no package"
            yield f"variables.{variable}", f"{found}: {what}"


def _what_services_run_from(spec: HostSpec) -> Iterator[tuple[str, str]]:
    """Environments that services run from and the host does not get, or that lack what a service runs."""
    if _template(spec.variables.get("services_environments")):
        return
    chosen, wanted = _map(spec, "services_environments"), dict[str, list[str]]()
    known = [name for name in dict.fromkeys(spec.services) if name in catalogue.services()]
    there = services.of_variables(tuple(known), {"services_environments": chosen})
    for name, service in there.items():
        if service.environment in catalogue.environments():
            wanted.setdefault(str(service.environment), []).append(name)
    named = ", ".join(dict.fromkeys(spec.environments)) or "none"
    for environment, names in wanted.items():
        if environment not in spec.environments:
            run = "runs" if len(names) == 1 else "run"
            problem = (
                f"{', '.join(names)} {run} from {environment}, but `environments` names only {named}; add {environment} to "
                "`environments`, or name another one with variables.services_environments"
            )
            yield "services", problem
        else:
            folder = _folder(spec)
            lacking = exposure.lacking(names, dict.fromkeys(names, environment), folder) if folder else ()
            yield from (("services", problem.replace("services_env", "variables.services_env")) for problem in lacking)


def _folders(spec: HostSpec) -> Iterator[tuple[str, str]]:
    """Environments that cannot be read, and locks that do not match them."""
    sources = _map(spec, "environments_sources")
    known = catalogue.environments()
    for name in sources:
        if name not in known:
            problem = f"there is no such environment{did_you_mean(str(name), known)}"
            yield f"variables.environments_sources.{name}", problem
    folder = _folder(spec)
    if not spec.environments or folder is None:
        return
    from gpurig import environments  # only here, since most commands need no environment

    for name in dict.fromkeys(spec.environments):
        source = None if _template(sources.get(name)) else sources.get(name)
        key = "environments" if source is None else f"variables.environments_sources.{name}"
        if not isinstance(source, Mapping | None):
            yield key, f"found {source!r}: write url and commit, as in {MAPS['environments_sources']}"
            continue
        try:
            environments.read(folder / name, source)
            found = environments.stale(folder / name)
        except ConfigError as error:
            found = str(error).splitlines()
        yield from ((key, problem.removesuffix(".")) for problem in found)


def _gpu_software(spec: HostSpec) -> Iterator[tuple[str, str]]:
    """What no machine of one of its providers can have, as gpurig.gpu_software decides it on the host.

    A CUDA toolkit is refused on none of them: it holds programs only, and containers and WSL2 may have it, where its role keeps
    drivers out. Which version fits is said by facts of the host, but for a driver that the entry itself asks for.
    """
    managed = spec.nvidia_driver is not None
    if not managed and spec.container_engine is None:
        return
    from gpurig import gpu_software, providers

    for source in spec.sources():
        has = providers.provider(source).capabilities(spec)
        shared, windows = has.kernel == "shared", has.gpu_driver == "windows"
        platform = "container" if shared else "wsl2" if windows else "native"
        ours = managed and not shared and has.gpu_driver == "managed"  # then only facts of the host can tell
        wanted = gpu_software.Wanted(
            gpu_driver=has.gpu_driver,
            init=has.init,
            release="",
            driver="" if ours else spec.nvidia_driver or "",
            engine=spec.container_engine or "",
        )
        decision = gpu_software.decide({"platform": platform, "installed": ""}, wanted)
        of = f"a host of {source}: " if len(spec.sources()) > 1 else ""
        for key, refusals in (
            ("nvidia_driver", decision.driver.refusals),
            ("container_engine", decision.engine.refusals),
        ):
            yield from ((key, f"{of}{refusal}") for refusal in refusals)
        if ours and spec.nvidia_driver and spec.cuda_toolkit:
            outrun = gpu_software.outrun(spec.cuda_toolkit, spec.nvidia_driver)
            yield from (("cuda_toolkit", f"{of}{refusal}") for refusal in outrun)


def _folder(spec: HostSpec) -> Path | None:
    """Where the host's environments lie on this machine; None where only Ansible knows."""
    found = spec.variables.get("environments_source", catalogue.ROOT / "environments")
    return None if _template(found) else Path(str(found)).resolve()


def _template(value: Any) -> bool:
    """Ansible fills it in, so that nobody knows it yet."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def _is_memory(value: Any) -> bool:
    text = str(value)
    if isinstance(value, bool) or MEMORY.fullmatch(text) is None:
        return False
    number = float(re.match(r"[0-9.]*", text).group() or "1")  # type: ignore[union-attr]  # it matches the empty text too
    return 0 < number <= 100 if text.endswith("%") else number > 0  # noqa: PLR2004 (per cent)
