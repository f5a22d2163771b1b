"""What the kernel has logged since the machine started: errors of GPUs (Xid), of NVLink switches (SXid) and of the machine."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gpurig.health import recording, thresholds
from gpurig.health.cells import text
from gpurig.health.finding import Finding, Wanted
from gpurig.verdict import Verdict

FILE = Path(__file__).with_name("xids.toml")

XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)")
SXID = re.compile(r"nvidia-nvswitch\d*: SXid \(PCI:([0-9a-fA-F:.]+)\): (\d+), (Fatal|Non-fatal)")
RECOVERED = re.compile(r"\bto 0x0 \(None\)", re.IGNORECASE)
"""Xid 154, where the driver no longer asks for anything."""

FATAL = re.compile(r"\bFatal\b")
"""NVLink 5's errors (Xid 144 to 150) say Fatal or Nonfatal."""

PROCESS = re.compile(r"\bpid='?(\d+)")

XIDS, SWITCHES, OTHERS = "Xid errors", "SXid errors", "other errors of the machine"
SOURCE = "Meta GCM and Imbue, classes of Xid errors (gpurig/health/xids.toml)"

LANES = re.compile(
    r"([0-9a-fA-F:]+)\.\d: [\d.]+ Gb/s available PCIe bandwidth, limited by .*? PCIe x(\d+) link at .*?\(capable of .*? PCIe x(\d+) link\)"
)
"""What the kernel says at the start of a device with fewer lanes than it could use. Slower lanes are normal then."""

OFF_THE_BUS = re.compile(r"fallen off the bus", re.IGNORECASE)

LINES: tuple[tuple[str, Verdict, str], ...] = (
    (r"NVRM: API mismatch", "FAIL", "the driver's module and its libraries are of different versions; reboot"),
    (r"RmInitAdapter failed", "FAIL", "the driver could not start a GPU"),
    (r"fallen off the bus", "FAIL", "a GPU does not answer on the bus"),
    (r"AER: .*Uncorrect", "WARN", "an uncorrected PCIe error"),
    (
        r"Machine Check|\bmce: \[Hardware Error\]|Hardware Error.*Machine check",
        "WARN",
        "the processor reports an error",
    ),
    (r"EDAC .*\b[CU]E\b", "WARN", "the machine's memory had an error"),
    (r"Out of memory: Killed process|oom-kill:", "WARN", "memory ran out, and a program was killed"),
)
"""Other lines worth knowing: pattern, verdict, meaning."""

UNREADABLE = {
    "wsl2": "Linux in WSL2 has no errors of the GPU; Windows' event log has them (source nvlddmkm, events 153 and 14)",
    "container": "in a container the kernel's log is the whole machine's, and it may be closed or cut",
}

RECOVERY_ACTION = 154
RECOVERED_MEANS = "the driver asked for a reset or a reboot before, and no longer does"

ADVICE = {
    "application": "Look at the program that ran then. Where programs that worked before show it too, take the GPU out.",
    "memory": "Reset the GPU, or reboot, when nothing runs on it: `sudo nvidia-smi --gpu-reset`. Where it comes back, have it replaced; "
    "of a rented machine, take another.",
    "hardware": "Reset the GPU or reboot, then verify again; where it comes back, have it replaced or take another.",
    "evict": "Stop using this GPU: reboot the machine and verify again; of a rented machine, take another.",
    "restart": "Restart the program that was hit; where it comes back, reset the GPU or take another.",
    "corrected": "Look whether it comes back; nothing need be done for now.",
    "recovered": "Nothing need be done for now; see the Xid errors before it.",
    "": "Look it up in NVIDIA's Xid catalogue: https://docs.nvidia.com/deploy/xid-errors/.",
}


class Event(NamedTuple):
    """An error of one GPU."""

    number: int
    gpu: str


def judge(found: Mapping[str, Any], wanted: Wanted) -> Iterator[Finding]:
    """Findings about the kernel's log; SKIP, never PASS, where it cannot be read."""
    reason = recording.skipped(found, "kernel_log")
    log = recording.section(found, "kernel_log")
    run = recording.run_of(log)
    lines = [line for line in run.out.splitlines() if line.strip()]
    total = log.get("lines") if isinstance(log.get("lines"), int) else len(lines)
    if wanted.platform == "wsl2":
        reason = UNREADABLE["wsl2"]
    elif not reason and (run.code != 0 or not total):
        reason = f"it cannot be read: {run.words if run.code != 0 else 'it is empty'}"
    if reason:
        yield Finding(name=XIDS, verdict="SKIP", reason=reason)
        return
    xids = list(_xids(lines, _places(found), wanted))
    yield from xids
    switches = list(_switches(lines))
    yield from switches
    if not xids and not switches:
        yield _none(f"{total} lines by {log.get('how') or 'some program'}", wanted)
    if wanted.platform == "native":
        yield from _lanes(lines, _places(found), wanted)
        yield from _others(lines, gone=any(finding.name.startswith("Xid 79") for finding in xids))


def _none(where: str, wanted: Wanted) -> Finding:
    if wanted.platform != "native":
        return Finding(name=XIDS, verdict="SKIP", value=f"none in {where}", reason=UNREADABLE["container"])
    return Finding(name=XIDS, verdict="PASS", value=f"none in {where}", expected="none since the start", source=SOURCE)


def _xids(lines: Sequence[str], places: Mapping[str, str], wanted: Wanted) -> Iterator[Finding]:
    """One finding for each number on each GPU. Lines of one process count once."""
    seen: dict[Event, set[str]] = {}
    said: dict[Event, list[str]] = {}
    for count, line in enumerate(lines):
        if match := XID.search(line):
            place = _plain(match[1])
            if wanted.platform == "container" and places and place not in places:
                continue  # of another's GPU on the same machine
            process = PROCESS.search(line)
            event = Event(int(match[2]), places.get(place, f"GPU at {match[1]}"))
            seen.setdefault(event, set()).add(process[1] if process else f"line {count}")
            said.setdefault(event, []).append(line)
    for event, times in sorted(seen.items()):
        row = table().get(str(event.number), {})
        kind = _class(event, row.get("class", ""), said[event])
        means = RECOVERED_MEANS if kind == "recovered" else row.get("means", "gpurig does not know this number")
        yield Finding(
            name=f"Xid {event.number}, {event.gpu}",
            verdict="FAIL" if kind in ("hardware", "evict") else "WARN",
            value=f"{len(times)} since the start",
            expected="none",
            source=SOURCE,
            reason=f"{means[0].upper() if row else means[0]}{means[1:]}.",
            advice=ADVICE[kind],
            figure=float(len(times)),
            unit="errors",
        )


def _class(event: Event, kind: str, said: Sequence[str]) -> str:
    """The class of an error by what its lines say besides the number."""
    if event.number == RECOVERY_ACTION and RECOVERED.search(said[-1]):
        return "recovered"
    if kind == "nvlink":
        return "evict" if any(FATAL.search(line) for line in said) else "corrected"
    return kind


def _switches(lines: Sequence[str]) -> Iterator[Finding]:
    found: dict[tuple[str, str], int] = {}
    for line in lines:
        if match := SXID.search(line):
            found[match[2], match[3]] = found.get((match[2], match[3]), 0) + 1
    for (number, gravity), times in sorted(found.items()):
        fatal = gravity == "Fatal"
        yield Finding(
            name=f"SXid {number}, {gravity.lower()}",
            verdict="FAIL" if fatal else "WARN",
            value=f"{times} since the start",
            expected="none",
            source="NVIDIA, Fabric Manager guide: SXid errors",
            reason="An NVLink switch failed; programs on several GPUs break."
            if fatal
            else "An NVLink switch had an error.",
            advice=ADVICE["hardware"] if fatal else "Look whether it comes back; nothing need be done for now.",
        )


def _lanes(lines: Sequence[str], places: Mapping[str, str], wanted: Wanted) -> Iterator[Finding]:
    said = {
        places[place]: match
        for line in lines
        if (match := LANES.search(line)) and (place := _plain(match[1])) in places
    }
    least = thresholds.accepted("min_pcie_width", wanted)
    for gpu, match in sorted(said.items()):
        if int(match[2]) < int(match[3]):
            fine = least is not None and int(match[2]) >= least.value
            yield Finding(
                name=f"{gpu}: PCIe lanes at the start",
                verdict="PASS" if fine else "WARN",
                value=f"x{match[2]}",
                expected=f"x{least.value:g}; the GPU could x{match[3]}" if least else f"x{match[3]}",
                source=least.source if least else "the kernel's log",
                reason="" if fine else "The card could use more lanes than its slot, or a riser, gives it.",
                advice="" if fine else "Run `rig verify` without --quick: it measures what that costs.",
            )


def _others(lines: Sequence[str], *, gone: bool) -> Iterator[Finding]:
    found: dict[int, str] = {}
    for line in lines:
        for number, (pattern, _, _) in enumerate(LINES):
            if re.search(pattern, line, re.IGNORECASE) and not XID.search(line):
                found.setdefault(number, line.strip())
    if gone:
        found = {number: line for number, line in found.items() if not OFF_THE_BUS.search(line)}
    if not found:
        yield Finding(
            name=OTHERS, verdict="PASS", value="none", expected="none since the start", source="the kernel's log"
        )
    for number, line in sorted(found.items()):
        _, verdict, means = LINES[number]
        yield Finding(
            name=f"kernel log: {means.partition(';')[0]}",
            verdict=verdict,
            value=line[:160],
            expected="no such line",
            source="the kernel's log",
            reason=f"{means[0].upper()}{means[1:]}.",
            advice=ADVICE["hardware"]
            if verdict == "FAIL"
            else "Look at the kernel's log: `journalctl -k -b` on the host.",
        )


def _places(found: Mapping[str, Any]) -> dict[str, str]:
    """PCI address as the kernel writes it → `GPU 0`."""
    rows = recording.gpus(found)
    known = {_plain(text(row, "pci.bus_id")): f"GPU {index}" for index, row in enumerate(rows)}
    return {place: name for place, name in known.items() if place}


def _plain(address: str) -> str:
    """Without function, and with the domain's last four digits, which is how nvidia-smi and the kernel differ."""
    parts = address.lower().split(".")[0].rsplit(":", maxsplit=2)
    return ":".join([parts[0][-4:], *parts[1:]])


@functools.cache
def table() -> dict[str, dict[str, str]]:
    """Number of an Xid → its class and meaning."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
