"""The way to one host, step by step; the first step that fails says why all later ones would."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator

from gpurig import access, lifecycle, reach, records, runner, services
from gpurig.doctor import Finding, Level, windows
from gpurig.errors import RigError
from gpurig.remote import Place
from gpurig.stack import Stack

LOW_PERCENT, NO_PERCENT = 90, 98
"""Part of the host's disk in use from which it is worth a warning, and from which little works."""


def examine(stack: Stack, name: str) -> Iterator[Finding]:
    """Walk to the host: its record, its provider's listing, network, SSH, privileges, then what shall run there."""
    host = records.holding(stack, name)
    if host is None:
        interrupted = name in records.intents(stack)
        found = "an interrupted `rig up` may have left a machine" if interrupted else "none"
        yield Finding("FAIL", "record", found, f"`rig up` stands {name} up, if {stack.file.name} has it.")
        return
    yield Finding("OK", "record", f"{host.label}, {host.endpoint.user}@{host.endpoint.address}:{host.endpoint.port}")
    place = Place(stack, host)
    if host.guest is not None and host.endpoint.shell == "powershell":
        if (yield from windows.examine(stack, host)):
            yield from _work(place)
        return
    steps: dict[str, Callable[[Place], Finding]] = {
        "provider's listing": _listing,
        "network": _network,
        "login": _login,
        "disk": _disk,
    }
    for what, step in steps.items():
        try:
            finding = step(place)
        except RigError as error:
            finding = Finding("FAIL", what, str(error))
        yield finding
        if finding.level == "FAIL":
            return
    yield from _work(place)


def _work(place: Place) -> Iterator[Finding]:
    """What shall run there."""
    host = place.host
    for environment in host.environments:
        yield _environment(place, environment)
    for service in services.of_host(host).values():
        yield _service(place, service)
    yield _runs(place)


def _listing(place: Place) -> Finding:
    host = place.host
    machine = lifecycle.observe(place.stack, host)
    if machine is None:
        return Finding(
            "FAIL", "provider's listing", f"{host.provider} does not list it: it is gone", "`rig up` makes it again."
        )
    if not machine.running:
        return Finding("FAIL", "provider's listing", "there, but not running", "`rig up` starts it.")
    return Finding("OK", "provider's listing", f"{host.provider} lists it, running")


def _network(place: Place) -> Finding:
    host = place.host
    for _, endpoint, _ in host.machines():
        if endpoint.jump is None:
            reach.probe_port(endpoint, f"{place.stack.file.name}: gpurig:hosts.{host.name}")
    return Finding("OK", "network", f"something listens at {host.endpoint.address}:{host.endpoint.port}")


def _login(place: Place) -> Finding:
    host = place.host
    for name, _, _ in host.machines():
        reach.check(place.stack, host, name, access.config_file(place.stack))
    privilege = host.work()[2].privilege
    how = "as root" if privilege == "root" else f"as {host.work()[1].user}, with sudo"
    return Finding("OK", "login", f"the host key is the pinned one; {how}")


def _disk(place: Place) -> Finding:
    used = int(place.run("sh", "-c", "df --output=pcent . | tail -n 1").decode().strip(" \n%"))
    level: Level = "FAIL" if used >= NO_PERCENT else "WARN" if used >= LOW_PERCENT else "OK"
    advice = (
        "" if level == "OK" else f"`rig connect {place.host.name} -- 'du -xh ~ | sort -h | tail'` shows what takes it."
    )
    return Finding(level, "disk", f"{used} % used", advice)


def _environment(place: Place, name: str) -> Finding:
    what = f"environment {name}"
    try:
        version = place.run(runner.interpreter(name), "--version").decode().strip()
    except RigError:
        return Finding("FAIL", what, "not installed", _site(place))
    return Finding("OK", what, version)


def _service(place: Place, service: services.Service) -> Finding:
    what = f"service {service.name}"
    where = f"/run/gpurig/{service.name}/socket" if service.socket else f"127.0.0.1:{service.port}"
    connect = (
        f"import socket; socket.socket(socket.AF_UNIX).connect({where!r})"
        if service.socket
        else f"import socket; socket.create_connection(('127.0.0.1', {service.port}), 5)"
    )
    try:
        place.run("python3", "-c", connect)
    except RigError:
        advice = f"{_site(place)} Its log: {shlex.quote(f'journalctl -u gpurig-{service.name}')} or /var/log/gpurig/{service.name}.log there."
        return Finding("FAIL", what, f"nothing listens at {where} there", advice)
    return Finding("OK", what, f"listens at {where} there; `rig open {service.name}`")


def _runs(place: Place) -> Finding:
    runs = [run for run in runner.current(place) if run.results is None]
    lost = [run.id for run in runs if run.state == "lost"]
    if lost:
        advice = f"`rig results {place.host.name}` brings what they left."
        return Finding("WARN", "runs", f"killed from outside, or by a restart: {', '.join(lost)}", advice)
    going = sum(run.state == "running" for run in runs)
    return Finding("OK", "runs", f"{going} going on, {len(runs) - going} whose results are not here")


def _site(place: Place) -> str:
    return f"`ansible-playbook playbooks/site.yml --limit {place.alias}` installs it."
