"""What a verification found, as JUnit's XML for programs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from gpurig.report import Report
from gpurig.verdict import Result


def xml(reports: Sequence[Report]) -> str:
    """JUnit's XML: one suite per host. A WARN passes there, with its words as output, since JUnit knows no such thing."""
    root = ET.Element("testsuites", name="gpurig verify")
    for report in reports:
        counts = report.counts()
        suite = ET.SubElement(root, "testsuite", name=report.host, timestamp=report.started, time=f"{report.seconds}")
        suite.attrib |= {"tests": f"{len(report.results)}", "failures": f"{counts['FAIL']}"}
        suite.attrib |= {"errors": "0", "skipped": f"{counts['SKIP']}"}
        for result in report.results:
            case = ET.SubElement(suite, "testcase", classname=f"{report.host}.{result.topic}", name=_clean(result.name))
            case.set("time", f"{result.seconds}")
            if result.verdict == "SKIP":
                ET.SubElement(case, "skipped", message=_clean(result.reason))
            elif result.verdict == "FAIL":
                ET.SubElement(case, "failure", message=_clean(_sentence(result))).text = _clean(result.advice)
            elif result.verdict == "WARN":
                ET.SubElement(case, "system-out").text = _clean(f"WARN: {_sentence(result)} {result.advice}")
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _sentence(result: Result) -> str:
    expected = f", expected: {result.expected}" if result.expected else ""
    return f"found: {result.value}{expected}. {result.reason}" if result.value else result.reason


def _clean(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", text)
