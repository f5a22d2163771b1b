"""The form of .wslconfig and wsl.conf, read as WSL itself reads it.

Follows ParseConfigFile in microsoft/WSL, src/shared/configfile/configfile.cpp, oddities included: a line that is dropped, a
header that is not closed and spoils the names of the keys below it, a first value that wins over later ones.
"""

from __future__ import annotations

import string
from dataclasses import dataclass, field

BLANKS = (" ", "\t")
ESCAPES = {"\\": "\\", '"': '"', "b": "\b", "n": "\n", "t": "\t", "\n": ""}
FAULTS = {
    "key": "it does not start with a letter; only # starts a comment, and blank lines may be empty",
    "section": "a section is [name], a name starts with a letter",
    "bracket": "a section's name has letters and digits only, and ends with ]",
    "after": "nothing but a comment with # may follow a section's ]",
    "equals": "a key has letters and digits only, and = follows it",
    "escape": 'a backslash must be doubled; on its own it may only stand before \\ " b n t or at the end of a line',
    "quote": 'a " is not closed',
}
"""Why a line is dropped."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key with its value. name: section.key in lower case. start, end: of the value in the text; after: of the next line."""

    name: str
    value: str
    line: int
    start: int
    end: int
    after: int


@dataclass(frozen=True, slots=True)
class Header:
    """A section's line. valid: False where it is malformed. begin: of that line; after: of the next one."""

    name: str
    valid: bool
    begin: int
    after: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that is dropped. why: a key of FAULTS."""

    line: int
    why: str
    text: str
    begin: int


@dataclass(slots=True)
class Content:
    """All that was understood, in the order of the file. faults: in wsl.conf at most one, since reading ends there."""

    entries: list[Entry] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def first(self, *names: str) -> Entry | None:
        """The entry that counts among those of these names."""
        return next((entry for entry in self.entries if entry.name in names), None)


def read(text: str, *, windows: bool) -> Content:
    """Read a file's text. windows: .wslconfig, whose bad lines are dropped; otherwise wsl.conf, where the first ends the reading."""
    return _Reading(text, windows).all()


class _Reading:
    """One pass over a text, a character at a time."""

    def __init__(self, text: str, windows: bool) -> None:
        self.text, self.windows = text, windows
        self.end = len(text)
        if windows and "\x1a" in text:
            self.end = text.index("\x1a")
        self.at = 1 if windows and text.startswith("\ufeff") else 0
        self.begin = 0
        self.buffer, self.length = "", 0
        self.content = Content()

    def all(self) -> Content:
        """To the end, or to the first fault where that ends it."""
        while not (self.content.faults and not self.windows):
            self.begin = self.at
            sign = self._skip_blanks(self._next())
            if not sign:
                break
            if sign == "#":
                self._rest(sign)
            elif sign == "[":
                self._section()
            elif sign not in ("\r", "\n"):
                self._key(sign)
        return self.content

    def _next(self) -> str:
        """The next character, empty at the end; Windows' text mode makes one of CR and LF."""
        if self.at >= self.end:
            return ""
        if self.windows and self.text.startswith("\r\n", self.at, self.end):
            self.at += 2
            return "\n"
        self.at += 1
        return self.text[self.at - 1]

    def _skip_blanks(self, sign: str) -> str:
        while sign in BLANKS:
            sign = self._next()
        return sign

    def _rest(self, sign: str) -> None:
        """Drop what is left of a line."""
        while sign not in ("", "\n"):
            sign = self._next()

    def _fault(self, why: str, sign: str) -> None:
        self._rest(sign)
        text = self.text[self.begin : self.at].strip("\r\n")
        self.content.faults.append(Fault(self._line(), why, text, self.begin))

    def _line(self) -> int:
        return self.text.count("\n", 0, self.begin) + 1

    def _word(self, sign: str) -> tuple[str, str]:
        """Letters and digits from this one on, and what follows them."""
        word = ""
        while sign and sign in string.ascii_letters + string.digits:
            word += sign
            sign = self._next()
        return word, sign

    def _section(self) -> None:
        sign = self._next()
        if not sign or sign not in string.ascii_letters:
            self._header("", sign, "section")
            return
        self.buffer, sign = self._word(sign)  # from here on the names below are spoilt unless all is well
        if sign != "]":
            self._header("", sign, "bracket")
            return
        sign = self._skip_blanks(self._next())
        if sign not in ("", "\n", "\r", "#"):
            self._header("", sign, "after")
            return
        self.length = len(self.buffer)
        self._header(self.buffer, sign, "")

    def _header(self, name: str, sign: str, why: str) -> None:
        if why:
            self._fault(why, sign)
        else:
            self._rest(sign)
        self.content.headers.append(Header(name.lower(), not why, self.begin, self.at))

    def _key(self, sign: str) -> None:
        if sign not in string.ascii_letters:
            self._fault("key", sign)
            return
        self.buffer = self.buffer[: self.length].ljust(self.length, "\0")
        word, sign = self._word(sign)
        self.buffer += f".{word}" if self.buffer else word
        sign = self._skip_blanks(sign)
        if sign != "=":
            self._fault("equals", sign)
            return
        self._value(self._skip_blanks(self._next()))

    def _value(self, sign: str) -> None:
        start = end = self.at - (1 if sign else 0)
        if sign == "\n" and self.windows and self.text.startswith("\r\n", self.at - 2):
            start = end = self.at - 2
        value, kept, quoted = "", 0, False
        while sign not in ("", "\n", "\r") and (sign != "#" or quoted):
            if sign == '"':
                quoted = not quoted
            elif sign == "\\":
                escaped = self._next()
                if not escaped or escaped not in ESCAPES:
                    self._fault("escape", escaped if escaped == "\r" else self._next() if escaped else "")
                    return
                value += ESCAPES[escaped]
            else:
                value += sign
            if sign not in BLANKS:
                kept, end = len(value), self.at
            sign = self._next()
        if quoted:
            self._fault("quote", sign)
            return
        self._rest(sign)
        name = self.buffer.split("\0")[0].lower()
        self.content.entries.append(Entry(name, value[:kept], self._line(), start, end, self.at))
