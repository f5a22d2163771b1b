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


class Tensor:
    """Stands in for torch.Tensor, and for a reference to one that was kept."""

    def local_value(self) -> Any:
        return [self]


@pytest.fixture
def worker(program: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls a function as the RPC worker does."""
    rpc, torch = ModuleType("torch.distributed.rpc"), ModuleType("torch")
    rpc.PyRRef = torch.Tensor = Tensor  # type: ignore[attr-defined]  # a stand-in
    for name, module in (("torch", torch), ("torch.distributed", ModuleType("d")), ("torch.distributed.rpc", rpc)):
        monkeypatch.setitem(sys.modules, name, module)
    main = program("rpc")

    def call(function: Callable[..., Any], **options: Any) -> Any:
        monkeypatch.setattr(main, "functions", lambda: {"mine": function})
        return main.run("mine", [], options)

    return call


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda: {"there": 1}["missing"], "KeyError: 'missing'"),
        (lambda: "abc".index("d"), "ValueError: substring not found"),
        (lambda: next(iter([])), "StopIteration"),
        (lambda: int("two\nlines"), "ValueError: invalid literal for int() with base 10: 'two\\nlines'"),
        (lambda: None, "TypeError: mine returned a NoneType; a function returns a tensor, or several"),
        (lambda: (Tensor(), 2.0), "TypeError: mine returned a float; a function returns a tensor, or several"),
    ],
)
def test_a_client_of_rpc_is_told_what_went_wrong_in_the_worker(
    worker: Callable[..., Any], function: Callable[..., Any], said: str
) -> None:
    assert worker(function) == said


def test_a_function_of_rpc_gets_what_was_kept_and_returns_a_tensor_or_several(worker: Callable[..., Any]) -> None:
    kept = Tensor()
    assert worker(lambda tensor: tensor, tensor=kept) == [kept]
    assert worker(lambda tensor: (tensor, tensor), tensor=kept) == [kept, kept]


def test_what_a_client_of_rpc_is_told_has_an_end(program: Callable[[str], ModuleType]) -> None:
    assert len(program("rpc").said(RuntimeError("x" * 100_000))) < 3000


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
