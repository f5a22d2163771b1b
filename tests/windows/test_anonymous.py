"""A recording of a PC has nothing in it that tells whose it is, wherever that stood, and still says what is wrong."""

from __future__ import annotations

import base64
import copy
import json
import string
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpurig.windows import failures, questions
from gpurig.windows.anonymous import ENCODED, anonymous
from gpurig.windows.failures import Case
from tests.windows import rounds
from tests.windows.model.faults import FAULTS
from tests.windows.model.healthy import healthy, variables
from tests.windows.model.pc import Machine

NAMES = ("rechnerstube", "Ada Lovelace", "alovelace")

VERSIONS = ("msi_version", "powershell", "version", "kernel", "os_version")
"""Where what looks like an address is a version."""


def named() -> Machine:
    """A PC whose owner and name are no ordinary words."""
    machine = healthy(user="alovelace")
    machine.data["computer"] = "RECHNERSTUBE"
    machine.data["users"]["alovelace"] = {**machine.data["users"].pop("me"), "profile": "C:\\Users\\Ada Lovelace"}
    machine.data["login"]["user"] = "alovelace"
    return machine


def state() -> dict[str, Any]:
    found: dict[str, Any] = dict(rounds.talk(named(), (), questions.sections(variables(user="alovelace"))).state)
    return found


STATE = state()


def everything(value: Any, key: str = "") -> Iterator[str]:
    """Every text of a recording, with whatever is packed in it."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from everything(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from everything(item, key)
    elif isinstance(value, str):
        yield value
        if key in ENCODED:
            data = base64.b64decode(value)
            text = data.decode("utf-16-le" if b"\x00" in data else "utf-8")
            yield text
            for line in text.splitlines():
                name, _, rest = line.partition("=")
                if name in ENCODED:
                    yield base64.b64decode(rest).decode()


def places(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """Where texts are."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, *path, key)
    if isinstance(value, str):
        yield path


def planted(found: dict[str, Any], path: tuple[Any, ...], secret: str) -> None:
    """Put a secret behind the text at this place; into the bytes where they are packed."""
    at: Any = found
    for key in path[:-1]:
        at = at[key]
    text = at[path[-1]]
    if path[-1] in ENCODED:
        data = base64.b64decode(text)
        encoding = "utf-16-le" if b"\x00" in data else "utf-8"
        at[path[-1]] = base64.b64encode(f"{data.decode(encoding)}\r\n{secret}\r\n".encode(encoding)).decode()
    else:
        at[path[-1]] = f"{text} {secret}"


PLACES = list(places(STATE))

octet = st.integers(1, 254)
hexa = st.sampled_from("0123456789abcdef")
token = st.text(string.ascii_letters + string.digits, min_size=18, max_size=34).map(lambda word: f"9{word}7")
"""No word that a PC says of itself: Hypothesis tries the constants of our own sources too."""
SECRETS = {
    "address": st.tuples(st.sampled_from([8, 10, 77, 172, 192, 203]), octet, octet, octet).map(
        lambda four: ".".join(map(str, four))
    ),
    "long address": st.lists(st.integers(0x1000, 0xFFFF), min_size=5, max_size=5).map(
        lambda five: "2001:db8:" + "::".join([":".join(f"{one:x}" for one in five[:3]), f"{five[3]:x}"])
    ),
    "link address": st.integers(1, 0xFFFF).map(lambda one: f"fe80::{one:x}"),
    "SID": st.lists(st.integers(10**8, 10**9), min_size=3, max_size=3).map(
        lambda three: "S-1-5-21-" + "-".join(map(str, three)) + "-1001"
    ),
    "card": st.lists(st.integers(16, 255), min_size=6, max_size=6).map(
        lambda six: "-".join(f"{one:02X}" for one in six)
    ),
    "GUID": st.uuids().map(str),
    "token": token.map(lambda word: f"ghp_{word}"),
    "key": token.map(lambda word: f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA{word} a@b"),
    "mail": token.map(lambda word: f"{word}@mail.example.org"),
    "password": token.map(lambda word: f"password={word}"),
    "account in a path": token.map(lambda word: f"C:\\Users\\{word}\\x"),
    "account in a Linux path": token.map(lambda word: f"/home/{word}/x"),
    "private key": token.map(
        lambda word: f"-----BEGIN OPENSSH PRIVATE KEY-----\n{word}\n-----END OPENSSH PRIVATE KEY-----"
    ),
    "log-in in a URL": token.map(lambda word: f"https://{word}:{word}@github.com/x"),
}


def core(kind: str, secret: str) -> str:
    """The part of it that must not be found."""
    return {
        "key": lambda: secret.split()[1],
        "password": lambda: secret.partition("=")[2],
        "account in a path": lambda: secret.split("\\")[2],
        "account in a Linux path": lambda: secret.split("/")[2],
        "private key": lambda: secret.splitlines()[1],
        "log-in in a URL": lambda: secret.split("//")[1].partition(":")[0],
    }.get(kind, lambda: secret)()


@given(st.data(), st.sampled_from([*SECRETS]), st.sampled_from(PLACES))
@settings(max_examples=400)
def test_no_secret_is_left_wherever_it_stood(data: st.DataObject, kind: str, path: tuple[Any, ...]) -> None:
    if kind == "address" and any(part in VERSIONS for part in path):
        return
    secret = data.draw(SECRETS[kind])
    found = copy.deepcopy(STATE)
    planted(found, path, secret)
    assert any(core(kind, secret) in text for text in everything(found))
    left = [text for text in everything(anonymous(found)) if core(kind, secret).lower() in text.lower()]
    assert left == []


def test_names_of_people_and_computers_are_gone() -> None:
    assert any("Ada Lovelace" in text for text in everything(STATE))
    texts = [text.lower() for text in everything(anonymous(STATE, ["home", "192.168.1.50"]))]
    assert [text for text in texts for name in NAMES if name.lower() in text] == []


def test_a_name_that_is_an_ordinary_word_is_gone_from_where_names_stand() -> None:
    found: dict[str, Any] = dict(rounds.talk(healthy(), (), questions.sections(variables())).state)
    clean = anonymous(found)
    assert clean["machine"]["user"]["name"] == clean["machine"]["owners"][0] != "me"
    assert "\\me\\" not in json.dumps(clean)


def test_what_is_the_same_stays_the_same() -> None:
    clean = anonymous(STATE)
    again = anonymous(STATE)
    assert clean == again
    assert clean["machine"]["user"]["sid"] in clean["keeper"]["xml"]


def test_an_entry_of_the_portproxy_still_leads_to_the_address_inside() -> None:
    found: dict[str, Any] = dict(rounds.talk(healthy(reach="direct"), (), questions.sections(variables())).state)
    clean = anonymous(found)
    (target,) = clean["network"]["portproxy"]["v4tov4"].values()
    assert target != "172.28.120.45/2222"
    assert f"address={target.partition('/')[0]}\n" in "".join(everything(clean["inside"]))


def test_versions_are_no_addresses() -> None:
    clean = anonymous(STATE)
    assert clean["wsl"]["msi_version"] == STATE["wsl"]["msi_version"]
    assert "6.6.87.2-microsoft-standard-WSL2" in "".join(everything(clean["inside"]))
    assert "2.6.3.0" in "".join(everything(clean["wsl"]["version"]))


def test_wsls_kernel_is_no_address_wherever_it_stands() -> None:
    text = "Linux pc 5.15.167.4-microsoft-standard-WSL2, libnccl 2.28.9.1, asked by 203.0.113.9."
    said = anonymous({"inside": {"told": text}})["inside"]["told"]
    assert "5.15.167.4-microsoft-standard-WSL2, libnccl 2.28.9.1, " in said
    assert "203.0.113.9" not in said


@pytest.mark.parametrize("number", FAULTS)
def test_a_recording_still_says_what_is_wrong(number: int) -> None:
    fault = FAULTS[number]
    entry = dict(fault.entry)
    machine = healthy(**entry)
    fault.breaks(machine)
    seen: dict[str, Any] = dict(rounds.talk(machine, (), questions.sections(variables(**entry))).state)
    connection = str(entry.get("connection", "ssh"))

    def numbers(one: dict[str, Any]) -> set[int]:
        case = Case(one, variables(**entry), fault.link, connection)  # type: ignore[arg-type]
        return {failure.number for failure in failures.detect(case)}

    assert numbers(anonymous(seen)) == numbers(seen)
