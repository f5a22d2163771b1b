"""From nothing to verified ready: one fresh local container, with the image and downloads cached (goal ≤ 3 min)."""

from __future__ import annotations

from bench.stage import seconds, site, stage

GOAL = 180.0

HOSTS = "{demo: {provider: container, environments: [starter], services: [jupyter, tensorboard]}}"


def main() -> None:
    """Print the seconds of each part, and the whole against the goal."""
    with stage(HOSTS):
        parts = {
            "rig up": seconds("rig", "up", "--yes"),
            "site.yml": seconds(*site()),
            "rig verify": seconds("rig", "verify", "demo"),
        }
    for name, took in parts.items():
        print(f"{name:12} {took:6.1f} s")
    total = sum(parts.values())
    print(f"{'together':12} {total:6.1f} s  {total / GOAL:5.2f} × of the goal of {GOAL:.0f} s")
