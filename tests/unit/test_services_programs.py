"""What services' programs say of errors and of their use; torch and FastAPI are not here, so stand-ins stand for them."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from gpurig import catalogue

FILES = catalogue.ROOT / "roles/services/files"

TOLD = "RuntimeError: On WorkerInfo(id=0, name=worker):\nRuntimeError('mat1 and mat2 shapes cannot be multiplied (1x3 and 4x2)')\n"
"""How torch 2.14 tells of an error in the worker, recorded; a traceback follows."""

TRACEBACK = """Traceback (most recent call last):
  File "internal.py", line 238, in _run_function
    result = python_udf.func(*python_udf.args, **python_udf.kwargs)
             ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
{}
"""


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A service's main.py as a module, with what it imports beside it."""

    def load(service: str) -> ModuleType:
        for folder in (FILES, FILES / service):
            monkeypatch.syspath_prepend(str(folder))
        for name in ("uvicorn", "fastapi", "fastapi.exceptions", "fastapi.responses", "prometheus_client"):
            monkeypatch.setitem(sys.modules, name, MagicMock())
        for name in ("batches", "guard", "loading", "namespace"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
            del sys.modules[name]  # imported anew, and gone with the test
        spec = importlib.util.spec_from_file_location(f"role_{service}_main", FILES / service / "main.py")
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            TOLD + TRACEBACK.format("RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x3 and 4x2)"),
            "RuntimeError: mat1 and mat2 shapes cannot be multiplied (1x3 and 4x2)",
        ),
        (
            TOLD + TRACEBACK.format("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"),
            "CUDA error: out of memory",
        ),
        (
            TOLD + "Traceback (most recent call last): …",
            "RuntimeError('mat1 and mat2 shapes cannot be multiplied (1x3 and 4x2)')",
        ),
        ("list index out of range", "RuntimeError: list index out of range"),
        ("", "RuntimeError"),
    ],
)
def test_a_client_of_rpc_is_told_what_went_wrong_in_the_worker(
    program: Callable[[str], ModuleType], told: str, said: str
) -> None:
    assert program("rpc").said(RuntimeError(told)) == said


@pytest.mark.parametrize(
    ("status", "used"), [(200, True), (422, True), (503, True), (401, False), (408, False), (413, False)]
)
def test_whoever_is_refused_at_the_door_did_not_use_the_api(
    program: Callable[[str], ModuleType], status: int, *, used: bool
) -> None:
    async def answers(_: Any, __: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})

    async def ignored(_: Any) -> None:
        """Where the answer goes."""

    figures = MagicMock()
    counted = program("api").Counted(answers, figures)
    asyncio.run(counted({"type": "http", "path": "/predict"}, None, ignored))
    assert figures.last.set_to_current_time.called == used
    figures.answers.labels.assert_called_once_with(status)
