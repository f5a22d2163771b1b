"""netsh.exe of the simulated PC: its port proxy, and its words, which depend on the display language."""

from __future__ import annotations

from tests.windows.model import texts
from tests.windows.model.pc import Machine

KEY = "HKLM:\\SYSTEM\\CurrentControlSet\\Services\\PortProxy\\{}\\tcp"


def entries(machine: Machine, kind: str = "v4tov4") -> dict[str, str]:
    """The entries as the registry has them; the key itself comes with the first one."""
    found: dict[str, str] = machine.data["registry"].get(KEY.format(kind).partition(":\\")[2], {})
    return found


def portproxy_set(machine: Machine, listen: str, connect: str) -> tuple[int, str]:
    """`interface portproxy set v4tov4 …`: makes or changes an entry and says nothing. Both as address/port."""
    if not machine.data["login"]["elevated"]:
        return 1, machine.words("needs_elevation")
    machine.registry(KEY.format("v4tov4"))[listen] = connect
    return 0, ""


def portproxy_delete(machine: Machine, listen: str) -> tuple[int, str]:
    """`interface portproxy delete v4tov4 …`: fails for an entry that is not there."""
    if not machine.data["login"]["elevated"]:
        return 1, machine.words("needs_elevation")
    if listen not in entries(machine):
        return 1, machine.words("file_not_found")
    del entries(machine)[listen]
    return 0, ""


def excluded(machine: Machine) -> str:
    """`interface ipv4 show excludedportrange protocol=tcp`. A third number of a range marks it as made on purpose."""
    title, start, end, note = texts.of(machine.data["language"], "excluded_ports").split("|")
    rows = []
    for first, last, *administered in machine.data["network"]["excluded"]:
        rows.append(f"{first:>10}  {last:>10}  {'   *' if administered else '    '}")
    head = f"{start:<12}  {end:<10}\r\n{'-' * 10:<12}  {'-' * 8}"
    return "\r\n".join(["", title, "", head, *rows, "", note, "", ""])
