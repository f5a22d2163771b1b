"""Reach a host: a shell, a command, its services."""

from __future__ import annotations

import os
import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gpurig.errors import ConfigError, RigError
from gpurig.ops import console
from gpurig.ops.command import command
from gpurig.ops.place import place_of, stack_of

if TYPE_CHECKING:
    from invoke.context import Context

    from gpurig.remote import Place
    from gpurig.services import Service
    from gpurig.tunnel import Forward


@command(
    "host",
    rest="line",
    remains="after --",
    help={"host": "The host.", "line": "One word: a line for the shell there; several: a command."},
)
def connect(c: Context, host: str, line: str = "") -> None:
    """Open a shell on a host, or run a command there and exit with its code. A Windows PC's own side is HOST-win."""
    from gpurig import access, records, remote

    stack, words = stack_of(c), shlex.split(line)
    last = [remote.split(words)] if words else []
    for record in records.load(stack).values():
        for alias, endpoint, _ in record.machines():
            if alias == host and endpoint.shell != "sh":
                os.execvp("ssh", [*access.ssh(stack, alias), *last])  # noqa: S606 (as below)
        if host in (alias for alias, _, _ in record.machines()):
            host = record.name
    place = place_of(c, host)
    place.reach()  # so that what is wrong is said in our words
    options = ["-t"] if words and os.isatty(0) and os.isatty(1) else []
    os.execvp("ssh", [*place.ssh(*options), *last])  # noqa: S606 (ssh takes this process's place, terminal and exit code)


@command(
    "host",
    rest="services",
    help={"host": "The host.", "services": "Which; default: all that it runs."},
)
def tunnel(c: Context, host: str, services: str = "") -> None:
    """Bring a host's services to this machine's loopback, until Ctrl-C."""
    place = place_of(c, host)
    _hold(c, place, shlex.split(services), browser=False)


@command(
    "service",
    "host",
    help={
        "service": "Such as jupyter.",
        "host": "May be left out where only one host runs it.",
        "print": "Only print the URL.",
    },
)
def open_(c: Context, service: str, host: str = "", print: bool = False) -> None:  # noqa: A002 (the flag's name)
    """Open a service in the browser, through a tunnel that lasts until Ctrl-C; prints its URL with the token."""
    _hold(c, place_of(c, host or _only_host_with(c, service)), [service], browser=not print)


def _only_host_with(c: Context, service: str) -> str:
    from gpurig import records

    stack = stack_of(c)
    hosts = records.load(stack)
    having = [name for name, host in hosts.items() if service in host.services]
    if len(having) != 1:
        there = {name: ", ".join(host.services) or "none" for name, host in hosts.items()}
        listed = "; ".join(f"{name}: {names}" for name, names in there.items()) or "no hosts"
        raise ConfigError(
            f"Which host? {'Several hosts run' if having else 'No host runs'} {service!r}. Services: {listed}."
        )
    return having[0]


def _hold(c: Context, place: Place, names: list[str], *, browser: bool) -> None:
    from gpurig import services, tunnel

    there = services.of_host(place.host)
    unknown = [name for name in names if name not in there]
    if unknown or not there:
        what = f"has no service {', '.join(unknown)}" if unknown else "runs no services"
        listed = ", ".join(there) or "none"
        raise ConfigError(f"{place.host.name} {what}. It has: {listed}; {place.stack.file.name} lists them.")
    wanted = [there[name] for name in names or there if there[name].port]
    if not wanted:
        _tell_how(c, place, [there[name] for name in names])
        return
    with tunnel.through(place, wanted) as (forwards, process):
        for forward in forwards:
            if not tunnel.answers(place, forward):
                raise RigError(
                    f"{place.host.name}: {forward.service.name} does not answer. `ansible-playbook playbooks/site.yml "
                    f"--limit {place.alias}` installs and starts it; `rig verify {place.host.name}` looks closer."
                )
        addresses = {f.service.name: _address(place, f) for f in forwards}
        text = "\n".join(f"{name}: {address}" for name, address in addresses.items())
        console.show(c, addresses, next(iter(addresses.values())) if len(names) == 1 else text)
        if browser and forwards[0].service.open:
            _browse(place, addresses[names[0]])
        with suppress(KeyboardInterrupt):
            console.say("The tunnel stands until Ctrl-C.")
            process.wait()
            raise RigError(f"{place.host.name}: the tunnel broke; run this again.")


def _tell_how(c: Context, place: Place, wanted: list[Service]) -> None:
    """Services without a port of their own: what a client has to run."""
    from gpurig import services

    said = {one.name: services.filled(place.stack, place.alias, one, port=0, text=_named(place, one)) for one in wanted}
    console.show(c, said, "\n".join(said.values()))


def _address(place: Place, forward: Forward) -> str:
    from gpurig import services

    service = forward.service
    if service.address:
        return services.filled(place.stack, place.alias, service, port=forward.port, text=_named(place, service))
    return services.url(place.stack, place.alias, service, port=forward.port, path=service.open)


def _named(place: Place, service: Service) -> str:
    """How a service is reached, with the host's name as commands take it; secrets go by the name of the machine that has it."""
    return service.address.replace("{host}", place.host.name)


def _browse(place: Place, address: str) -> None:
    """Open an address without its token being among a process's arguments, which every user of this machine can read."""
    import html
    import webbrowser

    from gpurig.stack import write_private

    page = place.stack.dir / "secrets" / place.host.name / "open.html"
    write_private(page, f'<meta http-equiv="refresh" content="0; url={html.escape(address)}">\n')
    if not webbrowser.open(Path(page).as_uri()):
        console.say("No browser is found here: open the address above yourself.")
