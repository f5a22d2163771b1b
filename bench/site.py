"""site.yml with nothing to change: as gpurig runs it, against plain ansible-core on the same roles (goal ≤ 0.15)."""

from __future__ import annotations

from bench.stage import best, seconds, site, stage

HOSTS = "{demo: {provider: container, environments: [starter], services: [jupyter, tensorboard]}}"

PLAIN = {
    "GPURIG_STRATEGY": "linear",
    "ANSIBLE_PIPELINING": "false",
}
"""ansible-core's own way of working, on the same connection (shared SSH sessions)."""

RUNS = 3


def main() -> None:
    """Print seconds and ratios for one container host on this machine."""
    with stage(HOSTS):
        seconds("rig", "up", "--yes")
        print(f"first run, everything to do        {seconds(*site()):6.1f} s")
        start = best(RUNS, "ansible-playbook", "--version")
        ours = best(RUNS, *site())
        piped = best(RUNS, *site(), environment={"GPURIG_STRATEGY": "linear"})
        plain = best(RUNS, *site(), environment=PLAIN)
    print(f"ansible-playbook --version         {start:6.1f} s  {start / plain:5.2f} ×  (what any run costs at least)")
    print(f"gpurig (Mitogen), nothing to do    {ours:6.1f} s  {ours / plain:5.2f} ×  goal ≤ 0.15 ×")
    print(f"linear with pipelining             {piped:6.1f} s  {piped / plain:5.2f} ×")
    print(f"plain ansible-core                 {plain:6.1f} s   1.00 ×")
