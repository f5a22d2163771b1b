"""Exits with a message where the PyTorch beside this Python was built for a CPU only. Reads its version file: an import takes seconds."""

import importlib.util
import pathlib
import runpy
import sys

found = importlib.util.find_spec("torch")
if found is not None and found.origin:
    version = runpy.run_path(str(pathlib.Path(found.origin).with_name("version.py")))
    if version.get("cuda") is None and version.get("hip") is None:
        sys.exit(
            f"PyTorch {version['__version__']} is built for a CPU, and a GPU is expected on this host. Lock the environment "
            "anew: `rig env lock NAME`, or `--build cu126` for a driver before 580."
        )
