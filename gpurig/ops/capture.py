"""`rig verify --capture`: record what a host's GPU says, to share it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from gpurig.errors import ConfigError
from gpurig.ops import console
from gpurig.ops.place import stack_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context


def record(c: Context, names: Sequence[str], file: str, *, quick: bool, burn: float) -> None:
    """Write the recording of the one host to this file, else among its reports. Nothing runs where that cannot be."""
    from gpurig import capture, verification
    from gpurig.report import folder_of
    from gpurig.stack import write_private

    path = recording_path(file) if file else None
    stack = stack_of(c)
    chosen = verification.targets(stack, names)
    if len(chosen) != 1:
        known = ", ".join(target.name for target in chosen)
        raise ConfigError(
            f"--capture records one host at a time: name it, as in `rig verify {chosen[0].name} --capture`. Hosts: {known}."
        )
    (target,) = chosen
    path = path or folder_of(stack, target.name) / "recording.json"
    with console.working(
        f"Recording what {target.name} says of its GPUs{f', {burn:g} min of it under full load' if burn else ''}"
    ):
        found = capture.take(target, quick=quick, burn=burn)
    write_private(path, json.dumps(found, indent=1) + "\n")
    console.show(c, {"host": target.name, "file": str(path)}, f"Written: {path}")
    console.say(
        "Names and addresses were taken out. Look through it before you share it: what else is private, only you know."
    )


def recording_path(file: str) -> Path:
    """Where a recording shall go. Raises ConfigError for a name or a folder that cannot be, before anything is asked."""
    path = Path(file).expanduser().absolute()
    if path.suffix != ".json":
        raise ConfigError(f"--capture={file}: the recording is JSON; write a name that ends in .json.")
    if not path.parent.is_dir():
        raise ConfigError(f"--capture={file}: there is no folder {path.parent}.")
    return path
