"""The state of a PC without what tells whose it is, so that it can be given away: a fixture for tests.

The same name, address, SID or key gets the same placeholder everywhere, so that what belongs together still does.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gpurig.health import anonymous as recording
from gpurig.windows import private, wire
from gpurig.windows.form import fields
from gpurig.windows.state import SECTIONS

ENCODED = ("out", "err", "config", "nvidia_smi_out", "wsl_conf", "sshd_own")
"""Keys, of the state and of what the distribution says, whose values are bytes as Base64."""

VERSIONS = ("msi_version", "powershell", "version", "kernel", "os_version")
"""Keys whose values look like addresses and are none."""

OCTETS = 250

FIELDS = {name for form in SECTIONS.values() for name in fields(form)}
"""What every recording has as keys: no names, whoever is called so."""


def anonymous(state: Mapping[str, Any], names: Iterable[str] = ()) -> dict[str, Any]:
    """A copy without names of people and computers, addresses, SIDs, GUIDs, keys, passwords and tokens.

    names: what else must not be in it, such as the host's name and the login user's. Bytes in Base64 are decoded, cleaned and
    encoded again in their own encoding.
    """
    cleaner = _Cleaner({*names, *_told(state)})
    return {name: cleaner.section(name, section) for name, section in state.items()}


class _Cleaner:
    """Replaces, and remembers by what."""

    def __init__(self, names: Iterable[str]) -> None:
        self.known: dict[str, dict[str, int]] = {}
        hidden = sorted({name for name in names if name and not _plain(name)}, key=lambda name: (-len(name), name))
        self.names = {name.lower(): name for name in hidden}
        words = "|".join(map(re.escape, hidden))
        self.pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    def section(self, name: str, value: Any) -> Any:
        """A section: fields that hold nothing but a name are replaced even where that is an ordinary word."""
        if isinstance(value, Mapping) and "error" not in value:
            if name == "network" and isinstance(value.get("listeners"), list):
                value = {**value, "listeners": [self._listener(one) for one in value["listeners"]]}
            if name == "machine" and isinstance(value.get("user"), Mapping):
                user = {**value["user"], "name": self._account(str(value["user"].get("name", "")))}
                owners = [self._account(str(one)) for one in value.get("owners") or ()]
                value = {**value, "user": user, "owners": owners, "computer": self._person(str(value.get("computer")))}
        return self.value(value)

    def value(self, value: Any, key: str = "", *, versions: bool = False) -> Any:
        """Any JSON. versions: below here, what looks like an IPv4 address is a version."""
        versions = versions or key in VERSIONS
        if isinstance(value, Mapping):
            return {
                str(name) if name in FIELDS else self.text(str(name)): self.value(item, str(name), versions=versions)
                for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(item, key, versions=versions) for item in value]
        if not isinstance(value, str):
            return value
        if private.SECRET_KEY.fullmatch(key):
            return "<secret>"
        return self._encoded(value, versions, key) if key in ENCODED else self.text(value, versions=versions)

    def text(self, text: str, *, versions: bool = False) -> str:
        """Plain text."""
        text = private.PRIVATE_KEY.sub("<private key>", text)
        text = private.PUBLIC_KEY.sub(lambda found: f"{found[1]} {self._key(found[2])}", text)
        text = private.IN_URL.sub("<secret>@", text)
        text = private.TOKEN.sub("<secret>", private.SECRET.sub(r"\1<secret>", text))
        text = private.SID.sub(lambda found: self._sid(found[0]), text)
        text = recording.SERIAL.sub(r"\g<1>0", recording.UUID.sub(r"GPU-0", text))
        text = private.GUID.sub(lambda found: self._guid(found[0]), text)
        text = private.MAC.sub(lambda found: self._mac(found[0]), text)
        if not versions:
            text = private.IPV4.sub(lambda found: self._address(found[1]) if found[1] else found[0], text)
        text = private.IPV6.sub(lambda found: self._long(found[0]), text)
        text = private.PROFILE.sub(lambda found: found[1] + self._person(found[2]), text)
        text = private.EMAIL.sub(lambda found: self._email(found[0]), text)
        text = private.URL.sub(self._site, private.NETWORK_ID.sub("[<network>]", text))
        text = private.FOLDERS.sub(self._path, text)
        return self.pattern.sub(lambda found: f"name{self._number('name', found[0])}", text) if self.pattern else text

    def _encoded(self, value: str, versions: bool, key: str) -> str:
        """Bytes as Base64, line by line; what is no Base64 is text. key: under which they stand."""
        try:
            data = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            return self.text(value, versions=versions)
        encoding = "utf-16-le" if b"\x00" in data else "utf-8"
        text = private.PRIVATE_KEY.sub("<private key>", data.decode(encoding, errors="replace"))
        lines = text.split("\n")
        if key in private.COMMENTED:
            lines = [private.without_comment(line) for line in lines]
        cleaned = "\n".join(self._line(line, versions) for line in lines)
        return base64.b64encode(cleaned.encode(encoding)).decode("ascii")

    def _line(self, line: str, versions: bool) -> str:
        """A line, perhaps of what the distribution says of itself, where some values are Base64 again."""
        key, equals, rest = line.partition("=")
        if equals and key in ENCODED:
            return f"{key}={self._encoded(rest.rstrip(), False, key)}"
        if equals and key == "failed_unit" and not private.KEPT_UNIT.fullmatch(rest.strip()):
            return f"{key}=unit{self._number('unit', rest.strip())}.{rest.strip().rpartition('.')[2]}"
        if equals and key == "busy":
            return "busy=something"
        return self.text(line, versions=versions or key in VERSIONS)

    def _listener(self, listener: Mapping[str, Any]) -> dict[str, Any]:
        process = str(listener.get("process", ""))
        if not process or _plain(process):
            return dict(listener)
        return {**listener, "process": f"program{self._number('program', process)}"}

    def _number(self, kind: str, thing: str) -> int:
        """The order in which things of a kind come up, from 1."""
        known = self.known.setdefault(kind, {})
        return known.setdefault(thing.lower(), len(known) + 1)

    def _account(self, account: str) -> str:
        return "\\".join(self._person(part) for part in account.split("\\"))

    def _person(self, name: str) -> str:
        trimmed = name.strip()
        return name if private.EVERYBODY.fullmatch(trimmed) else f"name{self._number('name', trimmed)}"

    def _email(self, email: str) -> str:
        return email if email.endswith("@openssh.com") else f"person{self._number('email', email)}@example.com"

    def _site(self, found: re.Match[str]) -> str:
        """What follows `://`: log-in, host, port, path."""
        host, path = found[2], found[4] or ""
        if private.KEPT_URL.fullmatch(host) and (host != "github.com" or private.KEPT_OWNER.match(path)):
            return found[0]
        name = f"/file{self._number('file', path)}" if path.strip("/") else path
        return f"{found[1] or ''}site{self._number('site', host)}.example.com{found[3] or ''}{name}"

    def _path(self, found: re.Match[str]) -> str:
        """A path of Windows: folders that are not on every PC may tell whose it is."""
        if private.KEPT_ROOT.match(found[2]):
            return found[0]
        parts = re.split(r"([\\/]+)", found[2])
        return found[1] + "".join(part if index % 2 else self._folder(part) for index, part in enumerate(parts))

    def _folder(self, name: str) -> str:
        if not name.strip() or private.KEPT_FOLDER.fullmatch(name.strip()):
            return name
        return f"folder{self._number('folder', name.strip())}"

    def _sid(self, sid: str) -> str:
        return f"S-1-5-21-1-1-1-{500 if sid.endswith('-500') else 1000 + self._number('sid', sid)}"

    def _guid(self, guid: str) -> str:
        kept = guid.lower() in private.KEPT_GUIDS
        return guid if kept else f"00000000-0000-0000-0000-{self._number('guid', guid):012d}"

    def _mac(self, mac: str) -> str:
        number = self._number("mac", mac.replace("-", ":"))
        return mac[2].join(("02", "00", "00", "00", f"{number >> 8 & 255:02X}", f"{number & 255:02X}"))

    def _address(self, address: str) -> str:
        """Networks of 256 addresses stay together; the first and the last of one stay what they are."""
        if private.KEPT_IPV4.fullmatch(address):
            return address
        network, _, last = address.rpartition(".")
        number = self._number("network", network)
        if last not in ("0", "255"):
            last = str(1 + (self._number(f"hosts of {network}", last) - 1) % OCTETS)
        return f"198.{18 + number // OCTETS % 2}.{number % OCTETS}.{last}"

    def _long(self, address: str) -> str:
        if address in ("::", "::1") or not private.is_ipv6(address):
            return address
        return f"fd00::{self._number('ipv6', address):x}"

    def _key(self, key: str) -> str:
        return base64.b64encode(f"public key {self._number('key', key)} of a recording".encode()).decode("ascii")


def _plain(name: str) -> bool:
    return bool(private.WORDS.fullmatch(name) or recording.WORDS.fullmatch(name))


def _told(state: Mapping[str, Any]) -> Iterator[str]:
    """Names of people and computers that the state itself tells."""
    machine = state.get("machine") or {}
    user = (machine.get("user") or {}).get("name", "")
    for account in (machine.get("computer", ""), user, *(machine.get("owners") or ())):
        yield from str(account).split("\\")
    yield from _adapters(state)
    yield from (name for text in _texts(state) for name in _people(text))


def _adapters(state: Mapping[str, Any]) -> Iterator[str]:
    """Names of network adapters that somebody chose."""
    network = state.get("network") or {}
    there = {*(network.get("connections") or {}), *(network.get("addresses") or {})}
    wake = (state.get("power") or {}).get("wake") or ()
    there |= {str(card.get("adapter", "")) for card in wake if isinstance(card, Mapping)}
    yield from (name for name in sorted(there) if not private.KEPT_ADAPTER.fullmatch(name))


def _people(text: str) -> Iterator[str]:
    """Whose folders a text names, who logs in to Linux, and whose a task is."""
    yield from (found[2].strip() for found in private.PROFILE.finditer(text))
    for pattern in private.NAMED:
        yield from (found[1].strip() for found in pattern.finditer(text) if not found[1].startswith("S-1-"))


def _texts(value: Any, key: str = "") -> Iterator[str]:
    """Every text, with bytes decoded."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _texts(item, str(name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, key)
    elif isinstance(value, str):
        yield value
        if key in ENCODED:
            yield from _decoded(value)


def _decoded(value: str) -> Iterator[str]:
    try:
        text = wire.decoded(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return
    yield text
    for line in text.splitlines():
        key, equals, rest = line.partition("=")
        if equals and key in ENCODED:
            yield from _decoded(rest)
