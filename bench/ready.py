"""From nothing to verified ready: one fresh local container, with the image and downloads cached (goal ≤ 3 min).

Then how long a quick verification of it takes, as a monitor would run it every few minutes (goal ≤ 10 s).
"""

from __future__ import annotations

from bench.stage import best, seconds, site, stage

GOAL, GOAL_QUICK = 180.0, 10.0

HOSTS = "{demo: {provider: container, environments: [starter], services: [jupyter, tensorboard]}}"


def main() -> None:
    """Print the seconds of each part, the whole against the goal, and the shortest of three quick verifications."""
    with stage(HOSTS):
        parts = {
            "rig up": seconds("rig", "up", "--yes"),
            "site.yml": seconds(*site()),
            "rig verify": seconds("rig", "verify", "demo"),
        }
        quick = best(3, "rig", "verify", "--quick", "demo")
    for name, took in parts.items():
        print(f"{name:12} {took:6.1f} s")
    total = sum(parts.values())
    print(f"{'together':12} {total:6.1f} s  {total / GOAL:5.2f} × of the goal of {GOAL:.0f} s")
    print(f"{'quick verify':12} {quick:6.1f} s  {quick / GOAL_QUICK:5.2f} × of the goal of {GOAL_QUICK:.0f} s")
