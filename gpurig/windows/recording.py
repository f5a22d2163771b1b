"""What was brought from a PC in a file: the answer of the script that ran there, or a recording without names and addresses."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from typing import Any, cast

from gpurig.errors import RigError
from gpurig.windows import failures, wire
from gpurig.windows.anonymous import ENCODED, anonymous
from gpurig.windows.failures import Case, Link
from gpurig.windows.failures.case import Pinned
from gpurig.windows.form import mismatches
from gpurig.windows.state import SECTIONS, Problem, State

SCHEMA = 1
"""Version of both files' form."""

SPOILT = "form"
"""In the place of PowerShell's error id: the section was read at the PC, and is not as it was then."""


def recorded(case: Case, names: Iterable[str]) -> dict[str, Any]:
    """What is written of a PC: its state, and what it is judged by. names: what else must not be in it."""
    variables = {name: value for name, value in case.variables.items() if name.startswith("win_") and "key" not in name}
    seen = {**asdict(case.link), "ports": {str(port): answer for port, answer in case.link.ports.items()}}
    pinned = {"pinned": asdict(case.pinned)} if case.pinned else {}
    found = anonymous({**case.state, "variables": variables, "link": seen, **pinned}, names)
    clean = {name: found.pop(name) for name in ("variables", "link", *pinned)}
    about = {"origin": "recorded", "text": "", "failures": [one.number for one in failures.detect(case)]}
    return {
        "schema": SCHEMA,
        "about": about,
        "connection": case.connection,
        "gpu": case.gpu,
        **clean,
        "state": found,
    }


def readable(value: Any, key: str = "") -> Any:
    """A recording for people: bytes in Base64 as text."""
    if isinstance(value, dict):
        return {name: readable(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [readable(item, key) for item in value]
    if isinstance(value, str) and key in ENCODED:
        return wire.decoded(base64.b64decode(value)).splitlines()
    return value


def read(body: Any, own: Case) -> Case:
    """The PC of such a file. own: what the laptop knows, which a recording brings itself, since it may be anybody's.

    A section that has not its form counts as unread. Raises RigError where the file is neither of the two.
    """
    if not isinstance(body, dict) or not isinstance(body.get("state"), dict):
        raise RigError("it has no `state`")
    if body.get("schema") != SCHEMA:
        raise RigError(f"its `schema` is {body.get('schema')!r}, not {SCHEMA}: another version of gpurig wrote it")
    state = {name: _section(name, body["state"][name]) for name in SECTIONS if name in body["state"]}
    if all("error" in section for section in state.values()):
        raise RigError(next((one["error"]["message"] for one in state.values()), "its `state` is empty"))
    case = replace(own, state=cast("State", state))
    return _recorded(body, case) if "link" in body else case


def _recorded(body: dict[str, Any], case: Case) -> Case:
    link, variables, connection = body["link"], body.get("variables"), body.get("connection")
    if not isinstance(variables, dict) or not isinstance(connection, str):
        raise RigError("it lacks the `variables` or the `connection` of a recording")
    try:
        seen = Link(**{**link, "ports": {int(port): said for port, said in link["ports"].items()}})
        known = body.get("pinned")
        pinned = Pinned(**{**known, "addresses": tuple(known["addresses"])}) if known else None
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise RigError(f"its `link` or `pinned` is none of a recording ({error})") from error
    return replace(
        case, variables=variables, link=seen, connection=connection, gpu=body.get("gpu") is not False, pinned=pinned
    )


def _section(name: str, section: Any) -> Any:
    """A section, or why it cannot be read, in the form in which PowerShell would say so."""
    if isinstance(section, dict) and not list(mismatches(section.get("error"), Problem, name)):
        return section
    wrong = next(iter([*mismatches(section, SECTIONS[name], name, exact=False), *_unpacked(section)]), "")
    return {"error": {"message": wrong, "id": SPOILT, "hresult": "not PowerShell's words"}} if wrong else section


def _unpacked(value: Any, key: str = "") -> Iterator[str]:
    """Which bytes are no Base64."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _unpacked(one, str(name))
    elif isinstance(value, list):
        for one in value:
            yield from _unpacked(one, key)
    elif isinstance(value, str) and key in ENCODED:
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            yield f"{key}: {value[:20]!r} is no Base64"
