"""How a request reaches PowerShell and its answer comes back, over whatever connection runs a command with input.

One round does a list of actions and reads sections of the state after them. The command is the same every time and short; scripts
and request travel as one line of ASCII JSON on its input, so neither quoting nor a console's code page can spoil them. The
answer is one line of Base64. Exit codes of programs on the PC stay inside it: ssh takes 255 for a lost connection.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gpurig.errors import RigError
from gpurig.windows.actions import Action
from gpurig.windows.state import SECTIONS, Native, Problem, State

FOLDER = Path(__file__).with_name("powershell")

BOOTSTRAP = """\
$text = (@(foreach ($line in $input) { $line }) -join '')
$request = ConvertFrom-Json -InputObject $text
& ([ScriptBlock]::Create($request.driver)) -Request $request
"""

COMMAND = "PowerShell -NoProfile -NonInteractive -ExecutionPolicy Unrestricted -EncodedCommand " + base64.b64encode(
    BOOTSTRAP.encode("utf-16-le")
).decode("ascii")
"""What is run on the PC. Powershell, cmd and a POSIX shell alike take it as it is."""

_ANSWER = re.compile(rb"<gpurig ([A-Za-z0-9+/=\s]+)>")


class WindowsError(RigError):
    """PowerShell gave no answer that we understand."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one action. problem is None where it was done."""

    kind: str
    ok: bool
    changed: bool
    data: Any = None
    problem: Problem | None = None
    seconds: float = 0.0

    def words(self) -> str:
        """Why it was not done, as PowerShell says it, with the code; empty where it was."""
        return f"{self.problem['message']} ({self.problem['hresult']})" if self.problem else ""


@dataclass(frozen=True, slots=True)
class Answer:
    """outcomes: of the actions, up to the first that failed. state: the sections that were asked for."""

    outcomes: tuple[Outcome, ...] = ()
    state: State = field(default_factory=State)

    def failed(self) -> Outcome | None:
        """The action that failed, if any; what came after it was not tried."""
        return next((outcome for outcome in self.outcomes if not outcome.ok), None)


def request(actions: Sequence[Action], sections: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The input of `COMMAND`. sections: name → the parameters of its script, in snake_case."""
    unknown = set(sections) - set(SECTIONS)
    if unknown:
        raise TypeError(f"unknown sections {sorted(unknown)}")
    kinds = {action.kind for action in actions}
    scripts = {kind: script(f"apply/{kind}") for kind in kinds} | {name: script(f"collect/{name}") for name in sections}
    body = {
        "driver": script("driver"),
        "library": script("library"),
        "scripts": scripts,
        "actions": [{"kind": action.kind, "parameters": _pascal(action.parameters)} for action in actions],
        "sections": [{"name": name, "parameters": _pascal(sections[name])} for name in SECTIONS if name in sections],
    }
    return json.dumps(body, ensure_ascii=True).encode("ascii") + b"\n"


def answer(code: int | None, out: bytes, err: bytes) -> Answer:
    """Read what PowerShell said. Raises WindowsError, in its own words, where that holds no answer."""
    found = _ANSWER.search(out)
    if found is None:
        said = (readable(err) or readable(out)).strip() or "nothing"
        raise WindowsError(f"PowerShell ended with {code} and gave no answer; it said: {said[-600:]}")
    body = json.loads(base64.b64decode(found[1]))
    outcomes = tuple(
        Outcome(one["kind"], bool(one["ok"]), bool(one["changed"]), one["data"], one["problem"], one["seconds"])
        for one in _list(body["outcomes"])
    )
    return Answer(outcomes, body["state"])


def text_of(native: Native | None, stream: str = "out") -> str:
    """What a program said, decoded: wsl.exe itself speaks UTF-16LE, Linux programs UTF-8; both with Unix line ends."""
    if native is None:
        return ""
    data = base64.b64decode(native["err"] if stream == "err" else native["out"])
    return decoded(data)


def decoded(data: bytes) -> str:
    """Bytes of a Windows program as text."""
    data = data.removeprefix(b"\xff\xfe").removeprefix(b"\xef\xbb\xbf")
    text = data.decode("utf-16-le" if b"\x00" in data else "utf-8", errors="replace")
    return re.sub(r"\r+\n", "\n", text)


def readable(data: bytes) -> str:
    """What PowerShell wrote to its error stream: CLIXML turned into its messages."""
    text = decoded(data)
    if "#< CLIXML" not in text:
        return text
    found = re.findall(r'<S S="Error">(.*?)</S>', text, re.DOTALL)
    lines = "".join(re.sub(r"_x([0-9A-Fa-f]{4})_", lambda code: chr(int(code[1], 16)), line) for line in found)
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
        lines = lines.replace(entity, sign)
    return lines.replace("\r\n", "\n")


@functools.cache
def script(name: str) -> str:
    """The text of a script of powershell/: `driver`, `collect/power`, `apply/power_set`."""
    return (FOLDER / f"{name}.ps1").read_text(encoding="ascii")


def _pascal(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"".join(word.capitalize() for word in name.split("_")): value for name, value in parameters.items()}


def _list(value: Any) -> list[Any]:
    """PowerShell's JSON has no list of one where a cmdlet unrolled it."""
    return value if isinstance(value, list) else [] if value is None else [value]
