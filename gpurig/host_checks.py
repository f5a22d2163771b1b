"""What would be found wrong with a host's entry only after minutes of installing it, told before anything is made or rented.

Reads the folders of the environments that the host names, and what its provider says of its machines. Roles check the
same again, since variables may come from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from gpurig import catalogue, exposure, service_checks, services
from gpurig.errors import ConfigError
from gpurig.mistakes import did_you_mean
from gpurig.service_checks import is_template, map_of
from gpurig.spec import HostSpec

SOURCES = "{nanochat: {url: /srv/nanochat, commit: …}}"
"""What environments_sources may look like."""


def problems(spec: HostSpec) -> Iterator[tuple[str, str]]:
    """What is wrong with a host's entry: its key → what was found and what to write, without a full stop."""
    for key, names in (("environments", spec.environments), ("services", spec.services)):
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                yield key, f"{name} is there twice; name it once"
    sources = spec.variables.get("environments_sources", {})
    if not isinstance(sources, Mapping) and not is_template(sources):
        yield "variables.environments_sources", f"found {sources!r}: write a map such as {SOURCES}"
    yield from spec.problems()
    yield from service_checks.problems(spec)
    yield from _what_services_run_from(spec)
    yield from _folders(spec)
    yield from _gpu_software(spec)


def _what_services_run_from(spec: HostSpec) -> Iterator[tuple[str, str]]:
    """Environments that services run from and the host does not get, or that lack what a service runs."""
    if is_template(spec.variables.get("services_environments")):
        return
    chosen, wanted = map_of(spec, "services_environments"), dict[str, list[str]]()
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
    sources = map_of(spec, "environments_sources")
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
        source = None if is_template(sources.get(name)) else sources.get(name)
        key = "environments" if source is None else f"variables.environments_sources.{name}"
        if not isinstance(source, Mapping | None):
            yield key, f"found {source!r}: write url and commit, as in {SOURCES}"
            continue
        try:
            environments.read(folder / name, source)
            found = environments.stale(folder / name)
        except ConfigError as error:
            found = str(error).splitlines()
        yield from ((key, problem.removesuffix(".")) for problem in found)


def _gpu_software(spec: HostSpec) -> Iterator[tuple[str, str]]:
    """What no machine of one of its providers can have, as gpurig.gpu_software decides it on the host.

    Which version of a CUDA toolkit fits is said by facts of the host, but for a driver that the entry itself asks for.
    """
    managed = spec.nvidia_driver is not None
    if not managed and spec.container_engine is None and spec.cuda_toolkit is None:
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
        if spec.cuda_toolkit and platform == "container":
            yield "cuda_toolkit", f"{of}{gpu_software.TOOLKIT_OF_IMAGE}"
        if ours and spec.nvidia_driver and spec.cuda_toolkit:
            outrun = gpu_software.outrun(spec.cuda_toolkit, spec.nvidia_driver)
            yield from (("cuda_toolkit", f"{of}{refusal}") for refusal in outrun)


def _folder(spec: HostSpec) -> Path | None:
    """Where the host's environments lie on this machine; None where only Ansible knows."""
    found = spec.variables.get("environments_source", catalogue.ROOT / "environments")
    return None if is_template(found) else Path(str(found)).resolve()
