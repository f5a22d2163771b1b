"""A Windows role takes what its topic takes, with the same defaults."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import yaml

from gpurig import catalogue
from gpurig.windows import topics

ROLES = catalogue.ROOT / "roles"

PRESENT = [topic for topic in topics.TOPICS if (ROLES / f"win_{topic}").is_dir()]


def read(topic: str, path: str) -> dict[str, Any]:
    text = (ROLES / f"win_{topic}" / path).read_text(encoding="utf-8")
    return yaml.safe_load(text) or {}


@pytest.mark.parametrize("topic", PRESENT)
def test_defaults_are_those_of_the_topic(topic: str) -> None:
    default = topics.wanted(topic, {})
    given = read(topic, "defaults/main.yml")
    for field in dataclasses.fields(default):
        value = given[f"win_{topic}_{field.name}"]
        if isinstance(value, str) and "{{" in value:
            continue
        assert getattr(topics.wanted(topic, {f"win_{topic}_{field.name}": value}), field.name) == getattr(
            default, field.name
        )


@pytest.mark.parametrize("topic", PRESENT)
def test_every_variable_is_explained(topic: str) -> None:
    explained = read(topic, "meta/argument_specs.yml")["argument_specs"]["main"].get("options", {})
    given = read(topic, "defaults/main.yml")
    assert {f"win_{topic}_{field.name}" for field in dataclasses.fields(topics.wanted(topic, {}))} <= set(explained)
    assert {name: spec.get("default") for name, spec in explained.items()} == given
