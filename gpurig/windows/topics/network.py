"""Topic network: who may reach Windows' sshd and which ports of WSL, by port proxy and firewall, and nothing of anybody else's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gpurig.windows import inside, openings, ranges, wslconfig
from gpurig.windows.actions import Action
from gpurig.windows.openings import EVERYWHERE, Opening
from gpurig.windows.plan import Plan, Refusal, unread
from gpurig.windows.questions import GROUP
from gpurig.windows.rules import SSH, WSL, Rule, firewall, hyperv, loose, policies, shut, wide
from gpurig.windows.state import NetworkSection, State

SECTIONS = ("machine", "features", "inside", "network")

OURS = "HKLM:\\SOFTWARE\\gpurig"
"""Here, as `portproxy`, lie the names of our entries: 0.0.0.0/2222, with a minus before it while it is being taken out."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """reach: WSL's sshd through Windows' sshd (jump) or through a port of its own (direct). networking: of WSL.

    allow_from: networks that may reach SSH. ssh_port: of Windows' sshd; wsl_port: of WSL's. ports: further ports of WSL → who
    may reach them. exposed: which of these are an exposed service's, port → its name, for messages.
    """

    reach: Literal["jump", "direct"] = "jump"
    networking: Literal["nat", "mirrored"] = "nat"
    allow_from: tuple[str, ...] = (ranges.LOCAL,)
    ssh_port: int = 22
    wsl_port: int = 2222
    ports: dict[int, str | tuple[str, ...] | None] = field(default_factory=dict)
    exposed: dict[int, str] = field(default_factory=dict)


def plan(state: State, wanted: Wanted) -> Plan:
    """Take out what of ours is no longer wanted, put in what is missing, mend what differs."""
    opened = openings.openings(wanted.reach, wanted.wsl_port, wanted.allow_from, wanted.ports, wanted.exposed)
    wrong = [
        *unread(state, ("machine", "features", "network")),
        *openings.mistakes(opened, wanted.ssh_port, wanted.allow_from, wanted.ports),
    ]
    if wrong:
        return Plan(refusals=tuple(wrong))
    found, mirrored = state["network"], wanted.networking == "mirrored"
    reached = [opening for opening in opened if opening.remote]
    refusals = [
        *_mirrored(state, wanted),
        *_shut_out(found, wanted),
        *openings.obstacles(found, opened, mirrored=mirrored),
    ]
    told = list(policies(found)) if not mirrored else []
    if reached and told:
        refusals += [Refusal("reach" if wanted.reach == "direct" else reached[0].key, line) for line in told]
        told = []
    told += [*unguarded(found, wanted), *shut(found, guarded(wanted))]
    proxied = [] if mirrored else reached
    address, why = _address(state) if proxied else (None, "")
    if why:
        told.append(why)
    if refusals:
        return Plan(refusals=tuple(refusals), warnings=tuple(told))
    ssh = Rule(SSH, "gpurig: SSH", wanted.ssh_port, tuple(wanted.allow_from))
    inner = [Rule(f"{WSL}{one.port}", f"gpurig: WSL, port {one.port}", one.port, tuple(one.remote)) for one in reached]
    actions = (
        *_proxies(state, found, proxied, address),
        *firewall(found, [ssh] if mirrored else [ssh, *inner]),
        *hyperv(found, inner if mirrored else []),
    )
    return Plan(actions=actions, warnings=tuple(told))


def unguarded(found: NetworkSection, wanted: Wanted) -> list[str]:
    """What of other people's lets every address reach a port that we limit; it is not ours to change."""
    vm = wide(found, _inner(wanted)) if wanted.networking == "mirrored" else ()
    return [*vm, *loose(found, guarded(wanted))]


def guarded(wanted: Wanted) -> list[int]:
    """Ports that Windows' own firewall guards."""
    return [wanted.ssh_port, *(_inner(wanted) if wanted.networking == "nat" else ())]


def _inner(wanted: Wanted) -> list[int]:
    """Ports of WSL that somebody may reach."""
    opened = openings.openings(wanted.reach, wanted.wsl_port, wanted.allow_from, wanted.ports, wanted.exposed)
    return [opening.port for opening in opened if opening.remote]


def _mirrored(state: State, wanted: Wanted) -> Iterator[Refusal]:
    if wanted.networking != "mirrored":
        return
    build = state["machine"]["build"]
    if not wslconfig.mirrors(build):
        yield wslconfig.unmirrored(build)
    elif not state["network"]["hyperv"]["available"]:
        yield Refusal("wsl.networking", "mirrored needs Hyper-V's firewall, which this Windows lacks: write nat")


def _shut_out(found: NetworkSection, wanted: Wanted) -> Iterator[Refusal]:
    client = found["client"]
    if client and ranges.contain(wanted.allow_from, client, found["addresses"]) is False:
        text = f"leaves out {client}, from where you are logged in now: add a network that has it, or you shut yourself out"
        yield Refusal("allow_from", text)


def _address(state: State) -> tuple[str | None, str]:
    """The guest's address, or why a port proxy cannot lead to it."""
    later = "the keeper sets the port proxies once WSL has an address of its own"
    facts = inside.facts(state["inside"])
    if facts.address is None:
        return None, f"WSL's address is not known ({facts.problem or 'it has none'}); {later}"
    own = {one.partition("/")[0] for there in state["network"]["addresses"].values() for one in there}
    if facts.networking_mode not in {None, "nat"} or facts.address in own:
        return None, f"WSL runs in mode {facts.networking_mode}, where a port proxy would lead to itself; {later}"
    return facts.address, ""


def _proxies(state: State, found: NetworkSection, proxied: Sequence[Opening], address: str | None) -> list[Action]:
    entries, ours = found["portproxy"].get("v4tov4", {}), set(found["ours"])
    listens = {f"{EVERYWHERE}/{one.port}": one.port for one in proxied}
    gone = ours - set(listens)
    actions = []
    if gone or set(listens) - ours:
        # Noted before it is made, so that a power cut leaves nothing that nobody knows as ours.
        actions.append(_note(ours, sorted(listens) + [f"-{listen}" for listen in sorted(gone)]))
    actions += [_deleted(listen, entries[listen]) for listen in sorted(gone) if listen in entries]
    if gone:
        actions.append(_note(ours, sorted(listens)))
    service = state["features"]["services"].get("iphlpsvc")
    runs = service is not None and (service["state"], service["start"]) == ("running", "auto")
    if listens and not runs:
        actions.append(
            Action(
                "service_set",
                {"name": "iphlpsvc", "start": "auto", "running": True},
                says="the service IP Helper, which does the port proxies, runs from the start on",
                before=f"iphlpsvc: {service['start']}, {service['state']}" if service else "iphlpsvc: absent",
                after="iphlpsvc: auto, running",
            )
        )
    if address is None:
        return actions
    right = {listen for listen, port in listens.items() if entries.get(listen) == f"{address}/{port}"}
    dead = {listen for listen in right if not runs or not _listens(found, listens[listen])}
    if dead and runs:
        says = "IP Helper listens where it shall again"
        actions.append(
            Action("service_restart", {"name": "iphlpsvc"}, says, "iphlpsvc: running", "iphlpsvc: restarted")
        )
    # Setting an entry waits for its listener, which a service that has just started may not have yet.
    return [
        *actions,
        *(
            _set(port, address, entries.get(listen, "nothing"))
            for listen, port in listens.items()
            if listen not in right or listen in dead
        ),
    ]


def _listens(found: NetworkSection, port: int) -> bool:
    return any(one["port"] == port and one["service"].lower() == "iphlpsvc" for one in found["listeners"])


def _note(ours: set[str], listens: Sequence[str]) -> Action:
    value = " ".join(listens) or "none"
    return Action(
        "registry_set",
        {"path": OURS, "name": "portproxy", "type": "string", "value": value},
        says=f"port proxies that are {GROUP}'s: {value}",
        before=f"ours: {' '.join(sorted(ours)) or 'none'}",
        after=f"ours: {value}",
    )


def _set(port: int, address: str, before: str) -> Action:
    parameters = {
        "listen_address": EVERYWHERE,
        "listen_port": port,
        "connect_address": address,
        "connect_port": port,
    }
    says = f"port {port} of the PC leads to WSL at {address}"
    return Action(
        "portproxy_set", parameters, says, f"{EVERYWHERE}/{port}: {before}", f"{EVERYWHERE}/{port}: {address}/{port}"
    )


def _deleted(listen: str, target: str) -> Action:
    address, _, port = listen.partition("/")
    parameters = {"listen_address": address, "listen_port": int(port)}
    return Action("portproxy_delete", parameters, f"port {port} of the PC leads nowhere", f"{listen}: {target}", "")
