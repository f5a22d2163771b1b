"""The table of what models of GPU can do."""

from __future__ import annotations

import tomllib

import pytest

from gpurig import gpus
from gpurig.health import models


def test_every_model_is_a_gpu_that_is_known() -> None:
    assert set(models.names()) <= set(gpus.names())


@pytest.mark.parametrize("name", models.names())
def test_every_model_says_where_its_figures_are_from(name: str) -> None:
    model = models.find(name)
    assert model is not None
    assert model.source
    assert model.bf16 or model.memory


@pytest.mark.parametrize(
    ("name", "gib", "bf16", "memory"),
    [
        ("NVIDIA H100 80GB HBM3", 79.6, 989, 3350),
        ("NVIDIA H100 PCIe", 79.6, 756, 2000),
        ("NVIDIA H100 NVL", 93.6, 835, 3900),
        ("NVIDIA A100-SXM4-80GB", 79.3, 312, 2039),
        ("NVIDIA A100 80GB PCIe", 79.3, 312, 1935),
        ("NVIDIA A100-SXM4-40GB", 39.4, 312, 1555),
        ("NVIDIA H200", 139.8, 989, 4800),
        ("NVIDIA GeForce RTX 5090", 31.4, 209.5, 1792),
    ],
)
def test_forms_of_one_model_differ(name: str, gib: float, bf16: float, memory: float) -> None:
    model = models.find(name, gib * models.GIB)
    assert model is not None
    assert (model.bf16, model.memory) == (bf16, memory)


def test_what_the_table_lacks_is_unknown() -> None:
    assert models.find("NVIDIA GeForce RTX 3060") is None
    assert models.find("") is None


def test_no_key_is_unread() -> None:
    read = {"bf16", "memory", "link", "bus", "source", "forms"}
    rows = tomllib.loads(models.FILE.read_text())
    forms = [form for row in rows.values() for form in row.get("forms", {}).values()]
    assert {key for row in [*rows.values(), *forms] for key in row} <= read
