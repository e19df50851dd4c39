"""The steps of tracing are measured on calls that are recorded whole."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.steps import SCRIPTS, call_of, main, steps
from tests.support import raw_bundle
from tests.support.recording import only_bundle


@pytest.mark.parametrize("scenario", SCRIPTS)
def test_what_is_measured_is_recorded(scenario: str, tmp_path: Path) -> None:
    """Each call is in the bundle with its terminal and all its bytes, and each step took time."""
    call = call_of(scenario)
    found = steps(call, 100, tmp_path)
    events = raw_bundle.events(only_bundle(sorted(tmp_path.glob("trace-*"))))
    ends = [event for event in events if event["type"] == "inference_completed"]
    assert len(ends) == 100
    assert {end["proxy"]["bytes_down"] for end in ends} == {sum(map(len, call.pieces))}
    assert {end["proxy"]["capture"]["lost_bytes"] for end in ends} == {0}
    assert all(figure > 0 for figure in found.values())


def test_table_is_printed() -> None:
    """A row for each step, a column for each kind of call."""
    done = CliRunner().invoke(main, ["--calls", "100"], catch_exceptions=False)
    head, _, *rows = done.stdout.splitlines()
    assert head == "| CPU µs a call | burst | paced | small |"
    assert len(rows) == 7
    assert all(re.search(r"\| \d+ \| \d+ \| \d+ \|$", row) for row in rows)


def test_too_few_calls_are_a_usage_error() -> None:
    """Nothing is divided by none."""
    done = CliRunner().invoke(main, ["--calls", "10"])
    assert (done.exit_code, "at least 100" in done.stderr) == (2, True)
