"""JUnit XML: a testcase for each SLO and one for the run itself, for the gates and trends of CI servers.

A failed SLO is a `failure`. What could not be decided is an `error`: an inconclusive SLO, and every SLO of an
invalid run. A run that was cut short keeps its failures, unless it is invalid as well, but none of its SLOs
passes.
"""

from __future__ import annotations

import re
from typing import Final
from xml.etree import ElementTree as ET

from loadtool.measure.result import Result, SloFigure
from loadtool.report import digest, figures, slos
from loadtool.report.text import clean

RUN_CASE: Final = "run is valid"

# What XML 1.0 has no way to write, not even escaped.
_ILLEGAL: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def render(result: Result) -> str:
    """The report as an XML document, declaration included."""
    name = _legal(digest.name(result))
    suites = ET.Element("testsuites", name="loadtool")
    suite = ET.SubElement(suites, "testsuite", name=name)
    properties = ET.SubElement(suite, "properties")
    for key, value in _properties(result):
        ET.SubElement(properties, "property", name=key, value=_legal(value))
    _run_case(suite, result, name)
    for slo in result.slos:
        _slo_case(suite, result, slo, name)
    for element in (suites, suite):
        element.set("tests", str(len(suite.findall("testcase"))))
        element.set("failures", str(len(suite.findall("testcase/failure"))))
        element.set("errors", str(len(suite.findall("testcase/error"))))
        element.set("time", f"{result.elapsed_s:.3f}")
    suite.set("skipped", "0")
    suite.set("timestamp", _legal(result.started))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _properties(result: Result) -> list[tuple[str, str]]:
    overload = [("overload", result.overload.verdict)] if result.overload is not None else []
    return [
        ("version", result.loadtool),
        ("verdict", result.verdict),
        *overload,
        ("seed", str(result.seed)),
        ("profile", result.profile_file),
        ("target", digest.target(result)),
        ("started", result.started),
        ("transport", result.engine.transport),
        ("workers", str(result.engine.workers)),
    ]


def _run_case(suite: ET.Element, result: Result, name: str) -> None:
    case = ET.SubElement(
        suite, "testcase", classname=f"{name}.run", name=RUN_CASE, time=f"{result.elapsed_s:.3f}"
    )
    if result.verdict in digest.DISTRUSTED:
        sentence = digest.headline(result)
        error = ET.SubElement(case, "error", type=result.verdict, message=_legal(sentence))
        error.text = "\n".join(_legal(line) for line in (sentence, *digest.reasons(result)))


def _slo_case(suite: ET.Element, result: Result, slo: SloFigure, name: str) -> None:
    classname = f"{name}.{_legal(slo.phase or 'run')}"
    case = ET.SubElement(suite, "testcase", classname=classname, name=_legal(slo.text), time="0")
    found = _legal(finding(slo))
    verdict = "invalid" if digest.is_invalid(result) else result.verdict
    if verdict == "invalid" or (verdict == "interrupted" and slo.status == "pass"):
        message = f"the run is {verdict}, so this proves nothing: {found}"
        ET.SubElement(case, "error", type=verdict, message=message).text = _where(result, slo, message)
    elif slo.status == "fail":
        ET.SubElement(case, "failure", type="slo", message=found).text = _where(result, slo, found)
    elif slo.status != "pass":
        ET.SubElement(case, "error", type=_legal(slo.status), message=found).text = _where(result, slo, found)


def finding(slo: SloFigure) -> str:
    """What was measured against what was wanted: value, threshold, 95 % interval, samples and the note."""
    interval = slos.interval(slo)
    parts = [
        f"measured {slos.value(slo)}, threshold {slos.threshold(slo)}",
        f"95% interval {interval}" if interval else "",
        figures.plural(slo.samples, "sample"),
        slo.note,
    ]
    return ", ".join(p for p in parts if p)


def _where(result: Result, slo: SloFigure, message: str) -> str:
    place = result.profile_file if slo.line is None else f"{result.profile_file}:{slo.line}"
    return "\n".join(_legal(line) for line in (slo.text, message, place))


def _legal(text: str) -> str:
    """One line without terminal escapes and without characters that XML forbids."""
    return clean(_ILLEGAL.sub("", _ESCAPES.sub("", text)))
