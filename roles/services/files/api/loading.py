"""Loads a service.py's model, and tries again for as long as something that it needs is not there. Needs nothing but Python.

Installed by role services.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from types import ModuleType
from typing import Any

AGAIN_SECONDS = 30.0
"""A look may go out to a network, so it is not taken more often."""


class Loading:
    """The model of a service.py, once there is one.

    model: None until then. reason: why it is not there yet, in one line. The service.py says so by raising its own class
    NotReadyError in load(); whatever else that raises is raised here, or later, in the background, ends this process.
    """

    def __init__(self, service: ModuleType, again: float = AGAIN_SECONDS) -> None:
        self.model: Any = None
        self.reason = ""
        self._service, self._again = service, again
        self._waits_for: Any = getattr(service, "NotReadyError", ())

    def start(self) -> None:
        """Load it. Where it is not there yet, return, and go on trying in the background."""
        if not self._tried():
            print(f"waiting: {self.reason}", file=sys.stderr, flush=True)
            threading.Thread(target=self._try_again, name="loading", daemon=True).start()

    def _tried(self) -> bool:
        try:
            self.model = self._service.load()
        except self._waits_for as error:
            self.reason = " ".join(str(error).split()) or type(error).__name__
            return False
        self.reason = ""
        return True

    def _try_again(self) -> None:
        try:
            while True:
                time.sleep(self._again)
                if self._tried():
                    print("the model is there", file=sys.stderr, flush=True)
                    return
        except SystemExit as error:
            print(error, file=sys.stderr, flush=True)
        except BaseException:  # noqa: BLE001 (whatever load() raises)
            traceback.print_exc()
        os._exit(1)  # systemd and supervisor start it anew; sys.exit would end this thread alone
