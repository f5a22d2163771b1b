"""ML environments from a warm cache: their own folder is removed and made again (goals: pytorch ≤ 40 s, recbole ≤ 60 s)."""

from __future__ import annotations

import json
import subprocess

from bench.stage import seconds, site, stage

GOALS = {"pytorch": 40.0, "recbole": 60.0, "tirex": None, "pagating": None}

HOSTS = f"{{demo: {{provider: container, environments: [{', '.join(GOALS)}]}}}}"


def main() -> None:
    """Print the seconds of each installation on a local container, and of a run with nothing to do."""
    with stage(HOSTS):
        seconds("rig", "up", "--yes")
        print(f"{'all of site.yml, empty cache':34} {seconds(*site()):6.1f} s")
        for name, goal in GOALS.items():
            size = on_host(f"du -sm --apparent-size /opt/gpurig/environments/{name} | cut -f1; "
                           f"rm -r /opt/gpurig/environments/{name}")  # fmt: skip
            took = seconds(*environments(name))
            against = f"  {took / goal:5.2f} × of {goal:.0f} s" if goal else ""
            print(f"{name:10} {int(size) / 1000:5.1f} GB, warm cache     {took:6.1f} s{against}")
        one, all_of_them = (seconds(*environments(*names)) for names in (list(GOALS)[:1], GOALS))
        each = (all_of_them - one) / (len(GOALS) - 1)
        print(
            f"{'again, nothing to do, for all':34} {all_of_them:6.1f} s, {max(each, 0):.2f} s for each more (goal ≤ 1 s)"
        )


def environments(*names: str) -> list[str]:
    """The command that installs these and no others."""
    return [*site(), "--tags=environments", "--extra-vars", json.dumps({"gpurig_environments": names})]


def on_host(script: str) -> str:
    """Run a script there as root; what it says."""
    command = ["rig", "connect", "demo", "--", "sudo", "sh", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
