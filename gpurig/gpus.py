"""Names of GPUs: one table, `gpus.toml`, for what every vendor calls otherwise."""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("gpus.toml")

SIZES_DIFFER = 0.15
"""Part by which a vendor's figure of a GPU's memory may differ from the table's: GB, GiB, and what ECC takes."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A model. name: canonical; memory: of one device, in GB as vendors name it."""

    name: str
    memory: int


def find(name: str, memory: float | None = None) -> Gpu | None:
    """The model that a vendor, or a user, calls `name`; None where the table has none.

    memory: GB of one device where the vendor says it. It decides between models of one name (A100 with 40 and 80 GB).
    """
    plain = _plain(name)
    exact = _by_plain_name().get(plain)
    if exact and (memory is None or _fits(exact, memory)):
        return exact
    if memory is None:
        return exact
    family = [gpu for key, gpu in _by_name().items() if _family(key) == _family(name) and _fits(gpu, memory)]
    return family[0] if family else None


def names() -> tuple[str, ...]:
    """Every canonical name."""
    return tuple(gpu.name for gpu in _table())


def spellings(name: str) -> tuple[str, ...]:
    """A canonical name, and the other names that the table has for it."""
    return (name, *_rows().get(name, {}).get("also", ()))


def ambiguous(name: str) -> tuple[str, ...]:
    """Canonical names that a name without its size may mean: `A100` is `A100 40GB` or `A100 80GB`."""
    plain = _plain(name)
    return tuple(gpu.name for gpu in _table() if _plain(gpu.name) != plain and _family(gpu.name) == plain)


def _fits(gpu: Gpu, memory: float) -> bool:
    return abs(gpu.memory - memory) <= SIZES_DIFFER * gpu.memory


def _plain(name: str) -> str:
    return re.sub(r"nvidia|geforce|tesla|[\s_-]", "", name.lower())


def _family(name: str) -> str:
    """A plain name without memory size and form factor."""
    without_size = re.sub(r"[\s_-]\d+\s?gb?\b", "", name, flags=re.IGNORECASE)
    return re.sub(r"(sxm\d?|pcie|hbm\d).*$", "", _plain(without_size))


@functools.cache
def _table() -> tuple[Gpu, ...]:
    return tuple(Gpu(name, row["memory"]) for name, row in _rows().items())


@functools.cache
def _by_plain_name() -> dict[str, Gpu]:
    return {_plain(name): gpu for name, gpu in _by_name().items()}


@functools.cache
def _by_name() -> dict[str, Gpu]:
    known = {gpu.name: gpu for gpu in _table()}
    return {name: known[row] for row, data in _rows().items() for name in [row, *data.get("also", [])]}


@functools.cache
def _rows() -> dict[str, dict[str, Any]]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
