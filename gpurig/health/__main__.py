"""`python -m gpurig.health RECORDING`: print what a recording is judged to be, as tests/fixtures/gpu/*.expected.txt have it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gpurig.health import layers, recording, thresholds
from gpurig.health.finding import Finding, Wanted


def wanted_of(found: Mapping[str, Any]) -> Wanted:
    """What a fixture says should be there: its key `wanted`, with `gpu`, `count`, `memory` and `variables`."""
    said = found.get("wanted") or {}
    return Wanted(
        platform=recording.platform(found),
        gpu=said.get("gpu"),
        count=said.get("count"),
        memory=said.get("memory"),
        policy=thresholds.policy(said.get("variables") or {}),
    )


def report(found: Mapping[str, Any], wanted: Wanted) -> str:
    """The findings of every layer, as text."""
    lines = []
    for name, findings in layers.judge(found, wanted).items():
        if findings:
            lines += [name, *(line for finding in findings for line in _lines(finding))]
    return "\n".join(lines) + "\n"


def _lines(finding: Finding) -> Iterator[str]:
    source = f" ({finding.source})" if finding.source else ""
    value = f": {finding.value}" if finding.value else ""
    expected = f"; expected {finding.expected}{source}" if finding.expected else ""
    yield f"  {finding.verdict}  {finding.name}{value}{expected}"
    yield from (f"        {text}" for text in (finding.reason, finding.advice) if text)


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write(report(given, wanted_of(given)))
