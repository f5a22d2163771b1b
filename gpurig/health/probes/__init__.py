"""Scripts that take readings on a host: sent there as one text and run by a Python there, which has nothing of ours.

machine, cuda, rented: any Python from 3.8 on. torch_check: an environment's Python, with its PyTorch. Each prints one line
of JSON. They judge nothing. The shapes of what they print are in their docstrings.
"""

from __future__ import annotations

import re
from pathlib import Path

_HERE = Path(__file__).parent
_IMPORT = re.compile(rf"^from {re.escape(__name__)} import (.+)$", re.MULTILINE)

_LOADER = """\
import sys, types
def load(name, source):
    module = sys.modules[name] = types.ModuleType(name)
    package, _, last = name.rpartition(".")
    if package:
        setattr(sys.modules[package], last, module)
    exec(compile(source, name + ".py", "exec"), module.__dict__)
"""


def script(name: str) -> str:
    """The text of a probe together with those modules of this folder that it imports: for `python3 - ARGUMENTS`."""
    lines = [_LOADER]
    package = ""
    for part in __name__.split("."):
        package = f"{package}.{part}".lstrip(".")
        lines.append(f"load({package!r}, '')\n")
    lines += [f"load({f'{__name__}.{module}'!r}, {_source(module)!r})\n" for module in _needs(name)]
    main = f"exec(compile({_source(name)!r}, {name + '.py'!r}, 'exec'), globals())\n"
    return "".join((*lines, main))


def _source(name: str) -> str:
    return (_HERE / f"{name}.py").read_text(encoding="utf-8")


def _needs(name: str) -> list[str]:
    """Names of the modules of this folder that a module imports, in the order in which they can be loaded."""
    found: dict[str, None] = {}
    for names in _IMPORT.findall(_source(name)):
        for needed in names.partition("#")[0].split(","):
            found.update(dict.fromkeys([*_needs(needed.strip()), needed.strip()]))
    return list(found)
