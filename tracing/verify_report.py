"""Writes a verdict on a bundle as lines: for people, or as JSON for programs."""

from collections.abc import Iterator

from .strict_json import dumps
from .verify import Verdict
from .visible_text import visible


def text_lines(verdict: Verdict) -> Iterator[str]:
    """A line for each finding, then one that sums up. Nothing in them can steer a terminal."""
    bundle = visible(str(verdict.bundle))
    for finding in verdict.findings:
        seq = "" if finding.seq is None else f" seq {finding.seq}"
        place = bundle if finding.file == "." else f"{bundle}/{visible(finding.file)}"
        yield f"{place}{seq}: {finding.severity}: {finding.code}: {visible(finding.message)}"
    state = "whole" if verdict.is_whole else "damaged"
    if verdict.is_live:
        state = f"live, {state} so far"
    yield f"{bundle}: {state}: {_count(verdict.calls, 'call')}, {_count(verdict.events, 'event')}"


def json_lines(verdict: Verdict) -> Iterator[str]:
    """A JSON object for each finding; of a bundle where nothing was found, none."""
    for finding in verdict.findings:
        fields = {
            "bundle": str(verdict.bundle),
            "severity": finding.severity,
            "code": finding.code,
            "file": finding.file,
            "seq": finding.seq,
            "message": finding.message,
        }
        yield dumps(fields).decode()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
