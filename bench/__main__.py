"""`python -m bench [NAME…]`: all measurements, or those named, one after the other."""

from __future__ import annotations

import importlib
import sys

NAMES = ("status", "sync", "site", "ready", "rent", "api", "environments", "windows")

for name in sys.argv[1:] or NAMES:
    if name not in NAMES:
        sys.exit(f"bench: no measurement {name!r}; there are: {', '.join(NAMES)}")
    print(f"\n## {name}", flush=True)
    importlib.import_module(f"bench.{name}").main()
