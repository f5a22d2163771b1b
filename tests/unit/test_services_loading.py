"""The model of a service.py: loaded at once, waited for, or an error that ends the service."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import ModuleType

import pytest

from gpurig import catalogue

FOLDER = catalogue.ROOT / "roles/services/files/api"

spec = importlib.util.spec_from_file_location("role_api_loading", FOLDER / "loading.py")
assert spec
assert spec.loader
loading = importlib.util.module_from_spec(spec)
spec.loader.exec_module(loading)


class NotReadyError(Exception):
    """As a service.py defines it."""


def service_py(load: Callable[[], object], **names: object) -> ModuleType:
    """A stand-in for a service.py."""
    module = ModuleType("service")
    vars(module).update(load=load, **names)
    return module


class TestLoading:
    def test_what_is_there_is_loaded_before_anything_is_answered(self) -> None:
        found = loading.Loading(service_py(lambda: "a model"))
        found.start()
        assert (found.model, found.reason) == ("a model", "")

    def test_what_is_not_there_is_waited_for_and_then_taken_up(self) -> None:
        there = threading.Event()

        def load() -> str:
            if there.is_set():
                return "a model"
            raise NotReadyError("run `forecast.py\n--fetch`")

        found = loading.Loading(service_py(load, NotReadyError=NotReadyError), again=0.01)
        found.start()
        assert (found.model, found.reason) == (None, "run `forecast.py --fetch`")
        there.set()
        deadline = time.monotonic() + 10
        while found.model is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (found.model, found.reason) == ("a model", "")

    @pytest.mark.parametrize("names", [{}, {"NotReadyError": NotReadyError}])
    @pytest.mark.parametrize("error", [SystemExit("damaged"), ValueError("damaged")])
    def test_any_other_error_ends_it(self, names: dict[str, object], error: BaseException) -> None:
        def load() -> None:
            raise error

        with pytest.raises(type(error), match="damaged"):
            loading.Loading(service_py(load, **names)).start()

    def test_also_one_that_comes_later(self) -> None:
        program = (
            f"import sys, time\nfrom types import SimpleNamespace\nsys.path.insert(0, {str(FOLDER)!r})\n"
            "from loading import Loading\nleft = [KeyError('wait'), SystemExit('damaged')]\n"
            "def load(): raise left.pop(0)\n"
            "Loading(SimpleNamespace(load=load, NotReadyError=KeyError), again=0.01).start()\ntime.sleep(60)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "damaged")
