"""How fast a model of GPU can be: `models.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpurig import gpus
from gpurig.health import thresholds
from gpurig.health.finding import Wanted

FILE = Path(__file__).with_name("models.toml")

GIB = 1 << 30

LANE = {1: 0.25, 2: 0.5, 3: 0.984, 4: 1.969, 5: 3.938, 6: 7.563}
"""PCIe generation → GB/s of one lane in one direction, after its coding. Source: PCI-SIG, 2.5 to 64 GT/s."""


@dataclass(frozen=True, slots=True)
class Link:
    """A PCIe link."""

    generation: int
    lanes: int

    @property
    def speed(self) -> float:
        """GB/s in one direction, of which copies reach at most nine tenths. 0 for a generation that is not known."""
        return LANE.get(self.generation, 0.0) * self.lanes


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model's peak figures; None where the table has none.

    bf16: TFLOPS. memory: GB/s. bus: number of GPUs → GB/s of an all-reduce.
    form: `PCIe`, `NVL`; empty for the one that the table is about. part: of that one's bf16 or memory, the lower.
    """

    name: str
    source: str
    bf16: float | None = None
    memory: float | None = None
    link: Link | None = None
    bus: Mapping[int, float] = field(default_factory=dict)
    form: str = ""
    part: float = 1.0


def find(name: str, memory: float = 0) -> Model | None:
    """The model that a device calls itself; None for one that the table lacks. memory: its bytes, 0 where unknown."""
    gpu = (gpus.find(name, memory / GIB) if memory else None) or gpus.find(name)
    row = _table().get(gpu.name) if gpu else None
    if gpu is None or row is None:
        return None
    form, part = "", 1.0
    for word, different in row.get("forms", {}).items():
        if word.lower() in name.lower():
            form = word
            part = min(different[key] / row[key] if key in different else 1.0 for key in ("bf16", "memory"))
            row = {**row, **different}
    return Model(
        name=gpu.name,
        source=row["source"],
        bf16=row.get("bf16"),
        memory=row.get("memory"),
        link=Link(**row["link"]) if "link" in row else None,
        bus={int(count): speed for count, speed in row.get("bus", {}).items()},
        form=form,
        part=part,
    )


def link(name: str, wanted: Wanted) -> Link | None:
    """The link that such a card has; None for unknown models, and in WSL2, whose word on PCIe means little."""
    model = find(name) if wanted.platform != "wsl2" else None
    return model.link if model else None


def accepted(own: Link, wanted: Wanted) -> Link:
    """A card's own link, or as much of it as the user wants on this host."""
    generation, lanes = (thresholds.accepted(f"min_pcie_{word}", wanted) for word in ("generation", "width"))
    return Link(
        generation=min(own.generation, int(generation.value)) if generation else own.generation,
        lanes=min(own.lanes, int(lanes.value)) if lanes else own.lanes,
    )


def names() -> tuple[str, ...]:
    """Every model that the table has."""
    return tuple(_table())


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
