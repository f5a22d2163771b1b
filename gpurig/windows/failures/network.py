"""Failures between Windows and the Linux inside, with NAT: portproxy, Windows' network for VMs, localhost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from gpurig.errors import ConfigError
from gpurig.windows import openings, topics
from gpurig.windows.actions import Action
from gpurig.windows.failures.case import ADDRESS, GUEST, LISTENER, PORTPROXY, Case, Failure
from gpurig.windows.failures.names import NAMES
from gpurig.windows.failures.starting import start
from gpurig.windows.plan import Refusal
from gpurig.windows.state import NetworkSection

PROXY = "iphlpsvc"
RELAY = "wslrelay"


def elsewhere(case: Case) -> Failure | None:
    """11. An entry of ours does not lead to eth0's present address (WSL issue 4210), or one of somebody else's is in its place."""
    address, strange = case.facts.address, _strange(case)
    if strange:
        found, _, advice = strange.text.partition(". ")
        meaning = "Who connects there comes to where that entry leads; what is not ours is touched by nobody but you."
        fix = f"{advice} (`{strange.key}` in the entry of {case.host})."
        return Failure(11, NAMES[11], PORTPROXY, found, meaning, fix)
    if not address or case.mirrored or case.facts.networking_mode not in (None, "nat"):
        return None
    wrong = {listen: connect for listen, connect in entries(case).items() if connect != f"{address}/{_port(listen)}"}
    if not wrong:
        return None
    listen, connect = next(iter(wrong.items()))
    found = f"{listen} leads to {connect}, but {case.name} has {address}, port {_port(listen)}"
    meaning = "Who connects is accepted by Windows and then dropped. WSL's address behind NAT changes with its starts."
    commands = "; ".join(
        f"netsh interface portproxy set v4tov4 listenaddress={_host(one)} listenport={_port(one)} connectaddress={address} connectport={_port(one)}"
        for one in wrong
    )
    actions = tuple(
        Action(
            "portproxy_set",
            {
                "listen_address": _host(one),
                "listen_port": _port(one),
                "connect_address": address,
                "connect_port": _port(one),
            },
            f"let {one} lead to {address}",
            before=f"{one} → {old}",
            after=f"{one} → {address}/{_port(one)}",
        )
        for one, old in wrong.items()
    )
    return Failure(11, NAMES[11], PORTPROXY, found, meaning, f"`{commands}`, which the keeper does by itself.", actions)


def no_listener(case: Case) -> Failure | None:
    """12. An entry without a listener: iphlpsvc is stopped, the port excluded or taken (docker/for-win 3171, WSL issue 5514)."""
    network, services = case.section("network"), case.section("features").get("services", {})
    if not network or case.mirrored:
        return None
    heard = {one["port"] for one in network["listeners"] if one["service"].lower() == PROXY}
    dead = [listen for listen in entries(case) if _port(listen) not in heard]
    if not dead:
        return None
    port = _port(dead[0])
    meaning = "The entry is there, but Windows does not listen for it, so nobody gets through."
    state = services.get(PROXY, {}).get("state", "missing")
    if services and state != "running":
        found = f"nothing listens at {dead[0]}: service {PROXY} (IP Helper) is {state}"
        serve = {"name": PROXY, "start": "auto", "running": True}
        actions = (Action("service_set", serve, "start IP Helper, now and always"),)
        fix = f"`Set-Service {PROXY} -StartupType Automatic; Start-Service {PROXY}` on the PC."
        return Failure(12, NAMES[12], LISTENER, found, meaning, fix, actions)
    excluded = next((one for one in network["excluded"] if one[0] <= port <= one[1]), None)
    taken = next((one for one in network["listeners"] if one["port"] == port and not local(one["address"])), None)
    other = f"Or write another `wsl.port` in the entry of {case.host}."
    if excluded:
        found = f"Windows has reserved port {port} ({excluded[0]} to {excluded[1]}), as Hyper-V does at random at each start"
        fix = f"{_freed(port)}. {other}"
        return Failure(12, NAMES[12], LISTENER, found, meaning, fix)
    if taken:
        found = f"port {port} is taken by {taken['process'] or 'another program'} at {taken['address']}"
        return Failure(
            12, NAMES[12], LISTENER, found, meaning, f"End that program, then `Restart-Service {PROXY}`. {other}"
        )
    restart = (Action("service_restart", {"name": PROXY}, "restart IP Helper"),)
    found = f"nothing listens at {dead[0]}, though service {PROXY} (IP Helper) runs"
    return Failure(12, NAMES[12], LISTENER, found, meaning, f"`Restart-Service {PROXY}` on the PC.", restart)


def no_network(case: Case) -> Failure | None:
    """16. Windows' virtual switch is broken after sleep (WSL issues 4992, 12747, 13906)."""
    facts = case.facts
    # Mirrored, eth0 may be a network of the PC's without an address; and the NAT's service is of no concern.
    if facts.problem or (_sharing_disabled(case) and not case.mirrored):
        return None
    if (facts.address or case.mirrored) and facts.dns_ok is not False:
        return None
    found = f"{case.name} {'knows no names' if facts.address or case.mirrored else 'has no address'}"
    woke = case.section("symptoms").get("woke")
    if woke:
        found += f"; the PC last woke from sleep at {woke}"
    meaning = "After sleep or hibernation Windows' virtual network is now and then dead, until WSL starts anew."
    fix = f"`wsl --shutdown; Restart-Service hns` on the PC; the keeper starts it again. {case.site('win_power')} keeps the PC awake."
    actions = (
        Action("wsl_shutdown", says="shut WSL down"),
        Action("service_restart", {"name": "hns"}, "restart Windows' network for virtual machines"),
        start(),
    )
    return Failure(16, NAMES[16], ADDRESS, found, meaning, fix, actions)


def no_sharing(case: Case) -> Failure | None:
    """18. The NAT of Windows' virtual network needs Internet Connection Sharing (Microsoft's troubleshooting page)."""
    if case.mirrored or not _sharing_disabled(case):
        return None
    works = bool(case.facts.address) and case.facts.dns_ok is not False
    meaning = "WSL's network behind NAT is made by the service SharedAccess, which is disabled here, often by a policy."
    fix = "`Set-Service SharedAccess -StartupType Manual` on the PC, then `wsl --shutdown`; if it is disabled again, a group policy does it."
    allow = {"name": "SharedAccess", "start": "manual", "running": False}
    actions = (
        Action("service_set", allow, "let Windows start Internet Connection Sharing when WSL needs it"),
        Action("wsl_shutdown", says="shut WSL down"),
        start(),
    )
    found = f"service SharedAccess is disabled{'' if works else f', and {case.name} has no network'}"
    return Failure(18, NAMES[18], ADDRESS, found, meaning, fix, actions, "WARN" if works else "FAIL")


def no_relay(case: Case) -> Failure | None:
    """31. WSL's relay for localhost is gone, as after fast start-up (WSL issues 8825, 9750)."""
    network = case.section("network")
    if not network or case.mirrored or case.running is False or not listens_inside(case):
        return None
    if (case.setting("wsl2", "localhostForwarding") or "true").lower() in ("false", "0"):
        return None
    relayed = [one for one in network["listeners"] if one["port"] == case.port and local(one["address"])]
    if relayed:
        return None
    found = f"the sshd inside listens, but nothing of WSL's does at 127.0.0.1:{case.port} on the PC"
    span = next((one for one in network["excluded"] if one[0] <= case.port <= one[1]), None)
    if span:
        found = f"Windows has reserved port {case.port} ({span[0]} to {span[1]}), so WSL's relay cannot listen there"
        fix = f"Write another `wsl.port` in the entry of {case.host}, or free it: {_freed(case.port)}."
        meaning = "Hyper-V reserves ports at random at each start of Windows, and nobody else can have them."
        return Failure(31, NAMES[31], GUEST, found, meaning, fix, (), "WARN" if case.direct else "FAIL")
    fast = case.section("power").get("fast_startup")
    if fast:
        found += "; fast start-up is on"
    meaning = "WSL's relay from Windows' localhost into Linux is gone, as after fast start-up or deep sleep; the way through Windows' sshd needs it."
    fix = (
        f"`wsl --shutdown` on the PC; the keeper starts it again. {case.site('win_power')} switches fast start-up off."
    )
    actions = (
        *case.planned("power", "registry_set"),
        Action("wsl_shutdown", says="shut WSL down"),
        start(),
    )
    return Failure(31, NAMES[31], GUEST, found, meaning, fix, actions, "WARN" if case.direct else "FAIL")


def entries(case: Case) -> dict[str, str]:
    """Entries of the portproxy that are ours."""
    network = case.section("network")
    every: Mapping[str, str] = (network.get("portproxy") or {}).get("v4tov4", {})
    ours = network.get("ours") or []
    return {listen: connect for listen, connect in every.items() if listen in ours}


def listens_inside(case: Case) -> bool:
    """Whether the sshd inside listens where it shall: where nobody comes in through Windows, not only for the Linux itself."""
    there = [one.rpartition(":")[0] for one in case.facts.sshd_ports or () if one.endswith(f":{case.port}")]
    return any(not (case.direct and local(address)) for address in there)


def _strange(case: Case) -> Refusal | None:
    """An entry that is not ours, where a wanted port is to be."""
    if not case.section("network"):
        return None
    try:
        asked = topics.wanted("network", case.variables)
    except ConfigError:  # the playbook tells it
        return None
    wanted = openings.openings(asked.reach, asked.wsl_port, asked.allow_from, asked.ports, asked.exposed)
    found = cast("NetworkSection", case.section("network"))
    return next((one for each in wanted for one in openings.proxied(found, each, mirrored=case.mirrored)), None)


def _freed(port: int) -> str:
    """How to have a port that Windows reserved."""
    reserve = f"netsh int ipv4 add excludedportrange protocol=tcp startport={port} numberofports=1"
    return f"`net stop winnat; {reserve}; net start winnat; Restart-Service {PROXY}` on the PC"


def _sharing_disabled(case: Case) -> bool:
    services = case.section("features").get("services", {})
    return bool(services.get("SharedAccess", {}).get("start") == "disabled")


def local(address: str) -> bool:
    """Whether a listener at this address is for its own machine alone."""
    return address.startswith("127.") or address in ("::1", "[::1]")


def _host(entry: str) -> str:
    return entry.rpartition("/")[0]


def _port(entry: str) -> int:
    last = entry.rpartition("/")[2]
    return int(last) if last.isdecimal() else 0
