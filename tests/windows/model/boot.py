"""What a start of Windows does to the simulated PC."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.windows.model import wsl_vm
from tests.windows.model.pc import Machine


def boot(machine: Machine) -> None:
    """Windows starts: what waited for it is done, what was in memory is gone, what starts by itself runs."""
    data = machine.data
    for linux in machine.linux.values():
        linux.stop()
    data["boots"] += 1
    data["now"] = (datetime.fromisoformat(data["now"]) + timedelta(seconds=90)).isoformat()
    data["booted"] = data["now"]
    for name in data["pending"]:
        data["features"][name] = "enabled"
    data["pending"] = []
    data["hypervisor"] = wsl_vm.hypervisor(machine)
    if data["features"][wsl_vm.VMP] == "enabled":
        for name in ("vmcompute", "hns"):
            data["services"].setdefault(name, {"state": "stopped", "start": "manual"})
    data["reboot_pending"] = False
    data["wsl"]["running"] = []
    data["wsl"]["vm_started"] = None
    data["wsl"]["holder"] = None
    for task in data["tasks"].values():
        task["state"] = "ready"
    for service in data["services"].values():
        service["state"] = "running" if service["start"] == "auto" else "stopped"
