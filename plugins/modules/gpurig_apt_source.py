#!/usr/bin/python
"""Adds a package repository whose key has the fingerprint that we expect, and nothing else of its vendor's."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

DOCUMENTATION = """
    module: gpurig_apt_source
    short_description: Package repository for apt
    description:
        - Writes C(/etc/apt/sources.list.d/gpurig-NAME.sources), and the repository's key under C(/etc/apt/keyrings) after its
          fingerprint was found to be O(fingerprint). A key of another fingerprint changes nothing and fails.
        - The key is fetched once; a new fingerprint fetches it anew.
    options:
        name: {description: How our files are called., type: str, required: true}
        uri: {description: Address of the repository., type: str, required: true}
        suite: {description: Suite such as C(bookworm), or C(/) for a flat repository., type: str, default: /}
        components: {description: Components of the suite; none of a flat repository., type: list, elements: str}
        key: {description: Address of the public key, armoured or not. Without it the distribution's own keys count., type: str}
        fingerprint: {description: Fingerprint of the key; 40 hexadecimal digits., type: str}
    author: gpurig
"""

SECONDS = 30
LARGEST = 1 << 20
PUBLIC_KEY = 6
"""Tag of a public key's packet; RFC 9580, section 5. A subkey has another one, so a file of one key gives one fingerprint."""

DISTRIBUTION_KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"


def main() -> None:
    """Run as an Ansible module."""
    options = {
        "name": {"type": "str", "required": True},
        "uri": {"type": "str", "required": True},
        "suite": {"type": "str", "default": "/"},
        "components": {"type": "list", "elements": "str"},
        "key": {"type": "str"},
        "fingerprint": {"type": "str"},
    }
    module = AnsibleModule(options, supports_check_mode=True, required_together=[("key", "fingerprint")])
    try:
        diff = ensure(Path("/etc/apt"), module.params, write=not module.check_mode)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"The repository {module.params['name']} was not added: {error}")
        raise
    module.exit_json(changed=bool(diff), diff=diff)


def ensure(apt: Path, wanted: dict[str, Any], *, write: bool) -> list[dict[str, str]]:
    """Bring the files into the state that is wanted, and tell what differed. Raises ValueError for another key."""
    source = apt / "sources.list.d" / f"gpurig-{wanted['name']}.sources"
    keyring, data = _keyring(apt, wanted)
    text = listing(wanted, str(keyring))
    before = source.read_text() if source.exists() else ""
    found = [{"before": before, "after": text, "before_header": str(source), "after_header": str(source)}]
    diff = found if before != text else []
    if data:
        diff.append({"before": "", "after": f"key {wanted['fingerprint']}\n", "after_header": str(keyring)})
    if write and data:
        keyring.parent.mkdir(exist_ok=True)
        keyring.write_bytes(data)
        keyring.chmod(0o644)
    if write and before != text:
        source.write_text(text)
        source.chmod(0o644)
    return diff


def listing(wanted: dict[str, Any], keyring: str) -> str:
    """The source as apt reads it: sources.list(5), deb822."""
    lines = ["# Managed by gpurig.", "Types: deb", f"URIs: {wanted['uri']}", f"Suites: {wanted['suite']}"]
    if wanted["components"]:
        lines.append(f"Components: {' '.join(wanted['components'])}")
    return "\n".join([*lines, f"Signed-By: {keyring}", ""])


def _keyring(apt: Path, wanted: dict[str, Any]) -> tuple[Path, bytes]:
    """Where the key lies or will lie, and its bytes if it must be written. apt tells armoured keys by the file's ending."""
    if not wanted["key"]:
        return _own_key(apt / "sources.list.d/debian.sources"), b""
    folder = apt / "keyrings"
    expected = wanted["fingerprint"].replace(" ", "").upper()
    for suffix in (".asc", ".gpg"):
        keyring = folder / f"gpurig-{wanted['name']}{suffix}"
        if keyring.exists() and fingerprints(keyring.read_bytes()) == [expected]:
            return keyring, b""
    try:
        data: bytes = open_url(wanted["key"], timeout=SECONDS).read(LARGEST)
    except OSError as error:
        raise ValueError(f"its key {wanted['key']} cannot be fetched ({error})") from error
    found = fingerprints(data)
    if found != [expected]:
        raise ValueError(
            f"{wanted['key']} holds {', '.join(found) or 'no key'}, expected the key {expected}. "
            "Where the vendor has a new key, change its fingerprint after you have checked it."
        )
    suffix = ".asc" if data.lstrip().startswith(b"-----BEGIN") else ".gpg"
    return folder / f"gpurig-{wanted['name']}{suffix}", data


def _own_key(source: Path) -> Path:
    """The distribution's key as its own source names it: apt refuses one address with two names for its key."""
    found = re.search(r"^Signed-By:[ \t]*(/\S+)", source.read_text() if source.exists() else "", re.MULTILINE)
    return Path(found.group(1) if found else DISTRIBUTION_KEY)


def fingerprints(data: bytes) -> list[str]:
    """Fingerprints of all public keys of a file, without their subkeys. Raises ValueError for what is no OpenPGP key.

    Of a version 4 key: SHA-1 over 0x99, the packet's length in two bytes, the packet. RFC 9580, section 5.5.4.2.
    """
    return [
        hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()  # noqa: S324 (the standard's)
        for tag, body in _packets(_binary(data))
        if tag == PUBLIC_KEY and body[:1] == b"\4"
    ]


def _binary(data: bytes) -> bytes:
    """Without armour. Several armoured blocks one after the other are several keys."""
    if not data.lstrip().startswith(b"-----BEGIN"):
        return data
    blocks = re.findall(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(.*?)-----END", data, re.DOTALL)
    texts = [re.split(rb"\r?\n\r?\n", b"\n" + block, maxsplit=1)[-1] for block in blocks]
    return b"".join(base64.b64decode(re.sub(rb"\r?\n=[\w+/]{4}\s*$", b"", text)) for text in texts)


def _packets(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and body of each packet; RFC 9580, section 4.2."""
    found, place = [], 0
    while place < len(data):
        first = data[place]
        if not first & 0x80:
            raise ValueError("this is no OpenPGP key")
        tag = first & 0x3F if first & 0x40 else (first >> 2) & 0x0F
        place, length = _new_length(data, place + 1) if first & 0x40 else _old_length(data, place + 1, first & 3)
        found.append((tag, data[place : place + length]))
        place += length
    if place != len(data):
        raise ValueError("this OpenPGP key is not complete")
    return found


def _new_length(data: bytes, place: int) -> tuple[int, int]:
    """Where the body begins, and how long it is."""
    first = data[place] if place < len(data) else 0
    if first < 192:  # noqa: PLR2004 (RFC 9580, 4.2.1)
        return place + 1, first
    if first < 224:  # noqa: PLR2004 (RFC 9580, 4.2.1)
        return place + 2, ((first - 192) << 8) + data[place + 1] + 192
    if first == 255:  # noqa: PLR2004 (RFC 9580, 4.2.1)
        return place + 5, int.from_bytes(data[place + 1 : place + 5], "big")
    raise ValueError("this OpenPGP key has a packet of unknown length")


def _old_length(data: bytes, place: int, kind: int) -> tuple[int, int]:
    if kind == 3:  # noqa: PLR2004 (RFC 9580, 4.2.2)
        raise ValueError("this OpenPGP key has a packet of unknown length")
    size = 1 << kind
    return place + size, int.from_bytes(data[place : place + size], "big")


if __name__ == "__main__":
    main()
