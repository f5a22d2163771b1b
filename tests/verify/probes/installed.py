"""Runs on the host with an environment's own Python: says, as JSON, what is installed and which files were changed.

With the argument `hash` the content of every file up to 32 MB is compared with the SHA-256 that its wheel states, else
only its size; larger ones (CUDA's libraries) always by size.
"""

import base64
import hashlib
import json
import os
import platform
import runpy
import sys
from importlib.metadata import PackagePath, distributions
from pathlib import Path

LARGE = 32_000_000


def main() -> None:
    packages, changed, files = {}, [], 0
    for distribution in distributions(path=[path for path in sys.path if "site-packages" in path]):
        packages[distribution.metadata["Name"]] = distribution.version
        for file in distribution.files or []:
            if file.size is not None:
                files += 1
                problem = difference(file)
                changed += [f"{file} ({problem})"] if problem else []
    report = {"packages": packages, "files": files, "changed": sorted(changed), "markers": markers()}
    report["torch"] = torch(packages)
    sys.stdout.write(json.dumps(report))


def difference(file: PackagePath) -> str:
    """How a file differs from what its wheel states; empty where it does not."""
    path = Path(file.locate())
    try:
        if path.stat().st_size != file.size:
            return "changed"
        if "hash" in sys.argv and file.size <= LARGE and file.hash and file.hash.mode == "sha256":
            digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).decode().rstrip("=")
            return "" if digest == file.hash.value else "changed"
    except FileNotFoundError:
        return "missing"
    return ""


def torch(packages: dict[str, str]) -> dict[str, str | None]:
    """PyTorch's version, and the CUDA or ROCm it is built for; from its version file, because an import takes seconds."""
    if "torch" not in packages:
        return {}
    folders = [Path(path) / "torch" for path in sys.path if (Path(path) / "torch" / "version.py").exists()]
    found = runpy.run_path(str(folders[0] / "version.py"))
    return {"version": found["__version__"], "built_for": found.get("cuda") or found.get("hip")}


def markers() -> dict[str, str]:
    """PEP 508's environment markers."""
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


if __name__ == "__main__":
    main()
