"""`tailrace stats`, as a person, a pipe and a script meet it."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from tailrace import main
from tests.support.pseudo_terminal import PseudoTerminal
from tests.support.recording import Clock, Recording
from viewer.catalog.rows import ModelStats, Spread
from viewer.terminal.stats_table import stats_table, total_line

from .written_traces import write_codex_bundle, write_damaged_bundle, write_hostile_bundle

pytestmark = pytest.mark.usefixtures("in_one_place")


def stats(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["stats", *arguments], catch_exceptions=False)


def test_pipe_gets_plain_lines(traces: Path) -> None:
    """A line of names, then one for each model; nothing is rounded to a few figures."""
    done = stats()
    assert (done.exit_code, done.stderr) == (0, "")
    names, values = (line.split("\t") for line in done.stdout.splitlines())
    assert dict(zip(names, values, strict=True)) == {
        "model": "m",
        "calls": "4",
        "running": "0",
        "completed": "2",
        "failed": "1",
        "cancelled": "1",
        "aborted": "0",
        "lost": "0",
        "input_tokens": "1200",
        "cached_input_tokens": "1000",
        "output_tokens": "50",
        "reasoning_output_tokens": "10",
        "first_event_ms_p50": "90.0",
        "first_event_ms_p90": "200.2",
        "first_event_ms_p99": "200.2",
        "duration_ms_p50": "100.5",
        "duration_ms_p90": "1201.0",
        "duration_ms_p99": "1201.0",
        **{f"output_tokens_per_second_p{percent}": "50.0" for percent in (50, 90, 99)},
    }


def test_script_gets_an_object_a_model(traces: Path) -> None:
    """With how many calls told each figure."""
    (model,) = map(json.loads, stats("--json", "--slow", "150ms").stdout.splitlines())
    assert model == {
        "model": "m",
        "calls": 2,
        "statuses": {"cancelled": 1, "completed": 1},
        "input_tokens": 1200,
        "cached_input_tokens": 1000,
        "output_tokens": 50,
        "reasoning_output_tokens": 10,
        "first_event_ms": {"count": 1, "p50": 200.25, "p90": 200.25, "p99": 200.25, "max": 200.25},
        "duration_ms": {"count": 2, "p50": 900.0, "p90": 1201.0, "p99": 1201.0, "max": 1201.0},
        "output_tokens_per_second": {
            "count": 1,
            "p50": 50.0,
            "p90": 50.0,
            "p99": 50.0,
            "max": 50.0,
        },
    }


def test_nothing_found_is_told(traces: Path) -> None:
    """As `ls` says it."""
    done = stats("--status", "lost")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == ("tailrace: no call matches --status lost; there are 4 calls in traces\n")


def test_no_traces_yet(tmp_path: Path) -> None:
    """No directory, and an empty one."""
    (tmp_path / "empty").mkdir()
    for directory in ("empty", "missing"):
        done = stats("--trace-dir", directory)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "tailrace serve" in done.stderr


def test_any_bundle_counts(tmp_path: Path) -> None:
    """One of Codex's, a damaged one, which is told, and one that is being written."""
    traces = tmp_path / "traces"
    write_codex_bundle(traces)
    write_damaged_bundle(traces)
    recording = Recording(traces, Clock())
    recording.ask({"model": "other", "input": "Still at it"})
    recording.journal.flush()
    done = stats("--json")
    models = {model["model"]: model for model in map(json.loads, done.stdout.splitlines())}
    assert models["m"]["statuses"] == {"completed": 2}
    assert models["other"]["statuses"] == {"running": 1}
    assert "trace-damaged" in done.stderr
    recording.journal.close()


def test_nothing_in_a_bundle_steers_a_terminal(tmp_path: Path) -> None:
    """A model's name may be anything."""
    write_hostile_bundle(tmp_path / "traces")
    for line in stats().stdout.splitlines():
        assert all(part.isprintable() for part in line.split("\t"))


FAST = Spread(count=9, p50=120.0, p90=400.0, p99=800.0, max=900.0)
SLOW = Spread(count=9, p50=800.0, p90=90_000.0, p99=725_000.0, max=725_000.0)
MODELS = (
    ModelStats(
        model="gpt-5.5\x1b[2J",
        calls=1200,
        statuses={"completed": 1190, "cancelled": 9, "lost": 1},
        input_tokens=12_000_000,
        cached_input_tokens=9_000_000,
        output_tokens=56_000,
        reasoning_output_tokens=12_000,
        first_event_ms=FAST,
        duration_ms=SLOW,
        output_tokens_per_second=FAST,
    ),
    ModelStats(
        model="o9",
        calls=1,
        statuses={"failed": 1},
        input_tokens=0,
        cached_input_tokens=0,
        output_tokens=0,
        reasoning_output_tokens=0,
        first_event_ms=None,
        duration_ms=FAST,
        output_tokens_per_second=None,
    ),
)


def shown(width: int) -> str:
    """What a terminal of this width shows of the models."""
    console = Console(file=io.StringIO(), width=width)
    console.print(stats_table(MODELS, width=width))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


WIDE = """\
gpt-5.5\\x1b[2J  1,200 calls  ████████████████████████  1,190 completed  9 cancelled  1 lost
  tokens       12.0M in (9.0M cached, 75%), 56.0k out (12.0k reasoning)
  first event  p50    120 ms █▊            p90    400 ms ██████        p99    800 ms ████████████
  took         p50    800 ms ▏             p90  1 m 30 s █▌            p99 12 m 05 s ████████████
  tokens/s     p50       120 █▊            p90       400 ██████        p99       800 ████████████

o9  1 call  ████████████████████████  1 failed
  tokens       not told
  took         p50    120 ms ▏             p90    400 ms ▏             p99    800 ms ▏

"""
NARROW = """\
  first event  p50    120 ms  p99    800 ms
  took         p50    800 ms  p99 12 m 05 s
  tokens/s     p50       120  p99       800
"""


def test_wide_terminal_has_bars() -> None:
    """To one scale for all models; what happened at all is seen."""
    assert shown(100) == WIDE


def test_narrow_terminal_has_figures() -> None:
    """Bars give way, then percentiles; no line is too long."""
    assert NARROW in shown(44)
    for width in range(20, 130):
        assert max(map(len, shown(width).splitlines())) <= width


def test_long_name_gives_way_to_counts() -> None:
    """A count that is cut would be another number."""
    long = replace(MODELS[0], model="gpt-5.5-of-a-very-long-name-2026-01-01", statuses={"lost": 1})
    for width in (80, 50):
        console = Console(file=io.StringIO(), width=width)
        console.print(stats_table([long], width=width))
        assert isinstance(console.file, io.StringIO)
        headline, *_ = console.file.getvalue().splitlines()
        assert headline.startswith("gpt-5.5-of-a-ve")
        assert "…  1,200 calls  " in headline
        assert headline.rstrip().endswith("  1 lost")
        assert headline.count("█") == (24 if width == 80 else 11)


def test_all_models_are_summed_up() -> None:
    """In a line below."""
    assert total_line(MODELS) == (
        "2 models, 1,201 calls; 12.0M in (9.0M cached, 75%), 56.0k out (12.0k reasoning)"
    )
    assert total_line(MODELS[1:]) == "1 model, 1 call; tokens not told"


def test_terminal_gets_figures_with_bars(traces: Path) -> None:
    """It fits, and the total stands below."""
    with PseudoTerminal(["stats"], traces.parent, columns=90) as terminal:
        assert terminal.wait() == 0
        assert terminal.lines[0].startswith("m  4 calls  ███")
        assert terminal.lines[0].endswith("2 completed  1 cancelled  1 failed")
        terminal.wait_for("first event", "p50", "90 ms", "p99", "200 ms", "█")
        terminal.wait_for("1 model, 4 calls; 1.2k in (1.0k cached, 83%), 50 out (10 reasoning)")
