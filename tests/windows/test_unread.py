"""What could not be read is never guessed: a topic refuses with the reason, or does without, but does not fall over."""

from __future__ import annotations

from typing import Any

import pytest

from gpurig.windows import topics
from tests.windows.homes import VARIABLES, home
from tests.windows.rounds import look

PROBLEM = {"message": "Invalid class", "id": "HRESULT 0x80041010", "hresult": "0x80041010"}

WANTED: dict[str, Any] = {
    **VARIABLES,
    "win_network_reach": "direct",
    "win_rdp_allow_from": "LocalSubnet",
    "win_keeper_every_minutes": 5,
}

UNREAD = [(topic, section) for topic in ("network", "keeper", "rdp", "power") for section in topics.sections(topic)]


@pytest.mark.parametrize(("topic", "section"), UNREAD)
def test_a_section_that_could_not_be_read(topic: str, section: str) -> None:
    machine = home(edition="Professional")
    state: Any = look(machine, *topics.sections(topic), variables=WANTED)
    assert topics.decide(topic, state, WANTED).actions
    state[section] = {"error": PROBLEM}
    plan = topics.decide(topic, state, WANTED)
    if section == "inside":  # the keeper knows the address later
        assert "Invalid class" in plan.warnings[0]
        assert "portproxy_set" not in [action.kind for action in plan.actions]
        return
    assert plan.actions == ()
    assert ["Invalid class" in refusal.text for refusal in plan.refusals] == [True]
