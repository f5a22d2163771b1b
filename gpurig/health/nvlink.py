"""NVLink: whether every link of every GPU is up and without errors, from `nvidia-smi nvlink -s` and `-e`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gpurig.health.finding import Finding, Wanted
from gpurig.health.recording import Run, run_of
from gpurig.verdict import Verdict

NAME = "NVLink"

GPU = re.compile(r"GPU (\d{1,3}): (.*?)(?: \(UUID.*)?")
UP = re.compile(r"\s*Link (\d+): ([\d.]+) GB/s")
DOWN = re.compile(r"\s*Link (\d+): <inactive>", re.IGNORECASE)
ALL_DOWN = "all links are inactive"
ERRORS = re.compile(
    r"\s*Link (\d+): (Replay|Recovery|CRC\b.*|Malformed packet|Buffer overrun|Local link integrity|Effective) Errors: (\d+)"
)
"""Counters that stay 0 on a good link; those of forward error correction do not."""

ON_BOARD = re.compile(r"SXM|HBM3|H200(?! NVL)|B\d00|GH200|GB\d00")
"""Names of GPUs that are linked on their board. Others are linked by bridges, and a card without one may be meant so."""

SOURCE = "NVIDIA, health validation: NVLink; Meta GCM, check-nvlink"
ADVICE = (
    "Reset the GPUs or reboot the machine; where it stays so, have it looked at; of a rented machine, take another."
)


def judge(smi: Mapping[str, Any], wanted: Wanted, count: int) -> Iterator[Finding]:
    """Findings about the links between this many GPUs; one SKIP where there are none."""
    status = run_of(smi.get("nvlink"))
    up, down, boards = _links(status)
    if count == 1 or not (up or down or boards):
        yield Finding(name=NAME, verdict="SKIP", reason="there is one GPU" if count == 1 else _no_links(status, wanted))
        return
    most = max((len(links) for links in up.values()), default=0)
    for gpu in sorted({*up, *down, *boards}):
        links, lost = len(up.get(gpu, ())), len(down.get(gpu, ()))
        bad = not links or lost > 0 or links < most
        verdict: Verdict = "PASS" if not bad else "FAIL" if gpu in boards else "WARN"
        yield Finding(
            name=f"GPU {gpu}: NVLinks",
            verdict=verdict,
            value=f"{links} up" + f", {max(lost, most - links) or 'all'} down" * bad,
            expected=f"{max(most, links + lost) or 'all'} up",
            source=SOURCE,
            reason="GPUs that work together reach it over PCIe only, or more slowly." if bad else "",
            advice=ADVICE if bad else "",
            figure=float(links),
            unit="links",
        )
    yield from _errors(run_of(smi.get("nvlink_errors")))


def _errors(run: Run) -> Iterator[Finding]:
    found: dict[int, int] = {}
    for gpu, line in _of_gpus(run):
        if match := ERRORS.match(line):
            found[gpu] = found.get(gpu, 0) + int(match[3])
    if not found:
        yield Finding(name="NVLink errors", verdict="SKIP", reason=f"nvidia-smi nvlink -e tells none: {run.words}")
    for gpu, errors in sorted(found.items()):
        yield Finding(
            name=f"GPU {gpu}: NVLink errors",
            verdict="FAIL" if errors else "PASS",
            value=f"{errors}",
            expected="0",
            source=SOURCE,
            reason="A link loses data and sends it again: a bad contact or a failing link." if errors else "",
            advice=ADVICE if errors else "",
            figure=float(errors),
            unit="errors",
        )


def _links(run: Run) -> tuple[dict[int, set[int]], dict[int, set[int]], set[int]]:
    """Links that are up, and those that are down, by GPU; and the GPUs that are linked on their board."""
    up: dict[int, set[int]] = {}
    down: dict[int, set[int]] = {}
    for gpu, line in _of_gpus(run):
        if match := UP.match(line):
            up.setdefault(gpu, set()).add(int(match[1]))
        elif match := DOWN.match(line):
            down.setdefault(gpu, set()).add(int(match[1]))
    names = {int(match[1]): match[2] for line in run.out.splitlines() if (match := GPU.fullmatch(line))}
    told = ALL_DOWN in run.out.lower() or up or down
    return up, down, {gpu for gpu, name in names.items() if told and ON_BOARD.search(name)}


def _of_gpus(run: Run) -> Iterator[tuple[int, str]]:
    """Each line, with the GPU under whose heading it stands."""
    gpu = None
    for line in run.out.splitlines():
        if match := GPU.fullmatch(line):
            gpu = int(match[1])
        elif gpu is not None:
            yield gpu, line


def _no_links(run: Run, wanted: Wanted) -> str:
    if wanted.platform == "wsl2":
        return "WSL2 does not tell it"
    if run.code is None:
        return f"nvidia-smi nvlink: {run.words}"
    return "these GPUs have no NVLink, or none is connected"
