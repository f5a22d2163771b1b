"""Whether we may do on a PC what must be done, as the account that we are there."""

from __future__ import annotations

from gpurig.windows.plan import Refusal
from gpurig.windows.state import MachineSection, WslSection

SYSTEM = "S-1-5-18"

NO_VIRTUALIZATION = (
    "virtualisation is off in the PC's firmware: switch on Intel VT-x or AMD SVM in its BIOS/UEFI set-up."
)


def refusals(machine: MachineSection) -> tuple[Refusal, ...]:
    """Why this account will not do: it is Windows itself, or has no administrator's rights."""
    user = machine["user"]
    if user["sid"] == SYSTEM:
        text = (
            "WSL refuses to work for SYSTEM (WSL_E_LOCAL_SYSTEM_NOT_SUPPORTED); log in as the person whose WSL it is."
        )
        return (Refusal("user", text),)
    if not user["admin"]:
        text = f"{user['name']} has no administrator's rights on {machine['computer']}; name an account that has them."
        return (Refusal("user", text),)
    return ()


def forbidden(wsl: WslSection) -> tuple[Refusal, ...]:
    """What a policy forbids, as in microsoft/WSL's wslpolicies.h."""
    if wsl["policy"].get("AllowWSL", 1) == 0:
        text = r"a policy of this PC forbids WSL (HKLM\Software\Policies\WSL, AllowWSL=0); whoever administers it must allow it."
        return (Refusal("", text),)
    return ()


def running(wsl: WslSection) -> tuple[str, ...]:
    """Names of the distributions that run."""
    from gpurig.windows.wire import text_of

    said = wsl["running"]
    if said is None or said["code"] != 0:
        return ()
    known = {one["name"] for one in wsl["distributions"]}
    return tuple(line.strip() for line in text_of(said).splitlines() if line.strip() in known)
