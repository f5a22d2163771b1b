"""Ansible's linear strategy, run by Mitogen where that is installed and works with this Ansible.

Mitogen keeps one Python process per host and sends it work over one SSH session, instead of starting an interpreter for every
task. `GPURIG_STRATEGY=linear` chooses Ansible's own way, for comparison and for hunting down a problem.
"""

from __future__ import annotations

import os

from ansible.errors import AnsibleError
from ansible.plugins.strategy.linear import StrategyModule as Linear
from ansible.utils.display import Display

DOCUMENTATION = """
    name: gpurig
    short_description: Linear strategy, faster where Mitogen works
    description:
        - Runs each task on all hosts before it goes on to the next one, as C(ansible.builtin.linear) does.
        - Uses Mitogen where it can be imported, and Ansible's own pipelining otherwise.
    author: gpurig
"""


def _choose() -> tuple[type, ...]:
    """The base classes of the strategy: Mitogen's mix-in before Ansible's linear, or linear alone."""
    if os.environ.get("GPURIG_STRATEGY", "mitogen") == "linear":
        return (Linear,)
    try:
        import ansible_mitogen.loaders
        import ansible_mitogen.strategy
    except (ImportError, AnsibleError) as error:
        Display().v(f"gpurig: without Mitogen ({error})")
        return (Linear,)
    return (
        ansible_mitogen.strategy.StrategyMixin,
        ansible_mitogen.loaders.strategy_loader.get("linear", class_only=True),
    )


StrategyModule = type("StrategyModule", _choose(), {"__doc__": "The strategy that Ansible looks for in this file."})
