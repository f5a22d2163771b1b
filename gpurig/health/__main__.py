"""`python -m gpurig.health RECORDING…`: print what recordings are judged to be, as tests/fixtures/gpu/*.expected.txt have it.

Exit code: 0; 3 where one FAILs; 2 where it was called wrongly, or a file is no recording.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gpurig.health import layers, recording, thresholds
from gpurig.health.finding import Finding, Wanted


def wanted_of(found: Mapping[str, Any]) -> Wanted:
    """What a fixture says should be there: its key `wanted`, with `gpu`, `count`, `memory`, `variables` and `services`."""
    said = found.get("wanted") or {}
    return Wanted(
        platform=recording.platform(found),
        gpu=said.get("gpu"),
        count=said.get("count"),
        memory=said.get("memory"),
        policy=thresholds.policy(said.get("variables") or {}),
        services=tuple(said.get("services") or ()),
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


def main(words: Sequence[str]) -> int:
    """Judge all these files; the exit code."""
    if not words or any(word.startswith("-") for word in words):
        sys.stderr.write("usage: python -m gpurig.health RECORDING.json …\n")
        return 2
    failed = False
    for word in words:
        try:
            given = json.loads(Path(word).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            sys.stderr.write(f"{word}: no recording: {error}\n")
            return 2
        if not isinstance(given, dict):
            sys.stderr.write(f"{word}: no recording: it must be a JSON object.\n")
            return 2
        wanted = wanted_of(given)
        judged = layers.judge(given, wanted)
        failed |= any(finding.verdict == "FAIL" for findings in judged.values() for finding in findings)
        sys.stdout.write(f"{word}\n" * (len(words) > 1) + report(given, wanted))
    return 3 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
