"""Topic power: the PC does not fall asleep under a job, shuts down for real, and wakes for one if wanted."""

from __future__ import annotations

from dataclasses import dataclass

from gpurig.windows.actions import Action
from gpurig.windows.plan import Plan, Refusal, unread
from gpurig.windows.state import PowerSection, State

SECTIONS = ("power",)

FAST_STARTUP = r"HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Power"


@dataclass(frozen=True, slots=True)
class Wanted:
    """sleep_minutes: without use on mains power, 0 is never; None leaves the user's own.

    fast_startup: a shut-down that only hibernates Windows, after which WSL's connections are often dead; None leaves it.
    wake_on_lan: a magic packet wakes the PC from sleep; None leaves the cards as they are.
    """

    sleep_minutes: int | None = 0
    fast_startup: bool | None = False
    wake_on_lan: bool | None = None


def plan(state: State, wanted: Wanted) -> Plan:
    """Set what differs."""
    if wrong := unread(state, SECTIONS):
        return Plan(refusals=wrong)
    if wanted.sleep_minutes is not None and wanted.sleep_minutes < 0:
        text = f"found {wanted.sleep_minutes}: write minutes, 0 for never, or null to leave the PC's own"
        return Plan(refusals=(Refusal("power.sleep", text),))
    found = state["power"]
    return Plan(actions=(*_sleep(found, wanted), *_start(found, wanted), *_wake(found, wanted)))


def _sleep(found: PowerSection, wanted: Wanted) -> list[Action]:
    if wanted.sleep_minutes is None:
        return []
    seconds = 60 * wanted.sleep_minutes
    present = {"standby": found["standby_ac"], "hibernate": found["hibernate_ac"]}
    return [
        Action(
            "power_set",
            {"what": what, "seconds": seconds},
            says=f"{what} on mains power: {_words(seconds)}",
            before=f"{what}: {_words(value)}",
            after=f"{what}: {_words(seconds)}",
        )
        for what, value in present.items()
        if value != seconds and not (what == "hibernate" and value is None)  # no hibernation on this PC
    ]


def _start(found: PowerSection, wanted: Wanted) -> list[Action]:
    if wanted.fast_startup is None or found["fast_startup"] == wanted.fast_startup:
        return []
    value = int(wanted.fast_startup)
    parameters = {"path": FAST_STARTUP, "name": "HiberbootEnabled", "type": "dword", "value": value}
    says = f"fast start-up: {'on' if value else 'off'}"
    return [
        Action(
            "registry_set",
            parameters,
            says=says,
            before=f"HiberbootEnabled={1 - value}",
            after=f"HiberbootEnabled={value}",
        )
    ]


def _wake(found: PowerSection, wanted: Wanted) -> list[Action]:
    if wanted.wake_on_lan is None:
        return []
    return [
        Action(
            "wake_set",
            {"adapter": card["adapter"], "enabled": wanted.wake_on_lan},
            says=f"{card['adapter']}: {'may' if wanted.wake_on_lan else 'may not'} wake the PC",
            before=f"{card['adapter']}: {card['enabled']}",
            after=f"{card['adapter']}: {wanted.wake_on_lan}",
        )
        for card in found["wake"]
        if card["enabled"] != wanted.wake_on_lan
    ]


def _words(seconds: int | None) -> str:
    return "unknown" if seconds is None else "never" if seconds == 0 else f"after {seconds // 60} minutes"
