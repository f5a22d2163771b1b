"""Topic rdp: Remote Desktop for the given networks only, where it is wanted at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpurig.windows import ranges, rules
from gpurig.windows.actions import Action
from gpurig.windows.plan import Plan, Refusal, unread
from gpurig.windows.state import RdpSection, State

SECTIONS = ("features", "network", "rdp")

SERVER = r"HKLM:\SYSTEM\CurrentControlSet\Control\Terminal Server"

SERVICE = "TermService"


@dataclass(frozen=True, slots=True)
class Wanted:
    """allow_from: networks that may reach Remote Desktop. None leaves Windows as it is and takes out only a rule of ours."""

    allow_from: str | tuple[str, ...] | None = None


def plan(state: State, wanted: Wanted) -> Plan:
    """Turn it on with a login before the session, and open its port to the networks."""
    if wanted.allow_from is None:
        if wrong := unread(state, ("network",)):
            return Plan(refusals=wrong)
        return Plan(actions=tuple(rules.removed(state["network"], rules.RDP)))
    if wrong := unread(state, SECTIONS):
        return Plan(refusals=wrong)
    allowed = (wanted.allow_from,) if isinstance(wanted.allow_from, str) else wanted.allow_from
    found = state["rdp"]
    refusals = tuple(_refusals(state, allowed))
    there = state["network"], [found["port"]]
    told = (*rules.loose(*there), *rules.shut(*there))
    if refusals:
        return Plan(refusals=refusals, warnings=told)
    rule = rules.Rule(rules.RDP, "gpurig: Remote Desktop", found["port"], tuple(allowed))
    # The rule comes last: nothing is open before the login is asked for first.
    return Plan(actions=(*_settings(found), *_service(state), *rules.one(state["network"], rule)), warnings=told)


def _refusals(state: State, allowed: tuple[str, ...]) -> Iterator[Refusal]:
    if not allowed:
        yield Refusal("rdp", "names no network: write one, such as 192.168.1.0/24, or take the key out")
    for one in allowed:
        if said := ranges.mistake(one):
            yield Refusal("rdp", said)
    if not state["rdp"]["supported"]:
        yield Refusal("rdp", "this is a Home edition of Windows, which has no Remote Desktop server: take the key out")
    elif state["rdp"]["policy"] is False:
        yield Refusal(
            "rdp", "a policy of your organisation forbids Remote Desktop (fDenyTSConnections): take the key out"
        )
    for line in rules.policies(state["network"]):
        yield Refusal("rdp", line)


def _settings(found: RdpSection) -> Iterator[Action]:
    if not found["nla"]:
        yield _value(
            f"{SERVER}\\WinStations\\RDP-Tcp", "UserAuthentication", 1, "Remote Desktop asks for the login first"
        )
    if not found["enabled"]:
        yield _value(SERVER, "fDenyTSConnections", 0, "Remote Desktop is on")


def _value(path: str, name: str, value: int, says: str) -> Action:
    parameters = {"path": path, "name": name, "type": "dword", "value": value}
    return Action("registry_set", parameters, says, f"{name}={1 - value}", f"{name}={value}")


def _service(state: State) -> Iterator[Action]:
    service = state["features"]["services"].get(SERVICE)
    if service is None or (service["state"], service["start"]) != ("running", "auto"):
        parameters = {"name": SERVICE, "start": "auto", "running": True}
        before = f"{service['start']}, {service['state']}" if service else "none"
        yield Action(
            "service_set",
            parameters,
            "the service of Remote Desktop runs",
            f"{SERVICE}: {before}",
            f"{SERVICE}: auto, running",
        )
