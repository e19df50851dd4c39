"""The benchmark's curves are drawn as they were measured."""

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.contenders import OURS, installed
from bench.curves import CURVES, Curve, drawn
from bench.figures import Run, us_per_call
from bench.http_rounds import Plan, run_repeatedly
from bench.plot import Plot
from bench.script import Script

SVG = "{http://www.w3.org/2000/svg}"


def _run(cpu: float, calls: int) -> Run:
    return Run(
        relay=OURS,
        calls=calls,
        events=0,
        wall=1.0,
        relay_cpu=cpu,
        upstream_cpu=0.0,
        load_cpu=0.0,
        held_kib=2048,
    )


def _points() -> Iterator[tuple[float, dict[str, Run]]]:
    yield 1.0, {OURS: _run(0.5, 1000)}
    yield 10.0, {OURS: _run(1.0, 1000)}


def test_a_flat_line_is_flat() -> None:
    """Equal values lie at one height, tenfold steps at equal distances."""
    line = [(1.0, 5.0), (10.0, 5.0), (100.0, 5.0)]
    root = ET.fromstring(Plot(title="a < b", across="x", up="y", lines={"one": line}).svg())
    circles = root.findall(f"{SVG}circle")
    assert len({each.get("cy") for each in circles}) == 1
    first, second, third = (float(each.get("cx", "")) for each in circles)
    assert second - first == pytest.approx(third - second, abs=0.2)


@pytest.mark.parametrize(
    ("values", "top"), [([0.3, 0.7], "0.8"), ([3.0], "4"), ([130.0, 20.0], "200"), ([0.0], "1")]
)
def test_the_vertical_axis_begins_at_nothing(values: list[float], top: str) -> None:
    """A curve that is flat must not look steep for a cut axis."""
    line = [(float(x), y) for x, y in enumerate(values, 1)]
    root = ET.fromstring(Plot(title="t", across="x", up="y", lines={"one": line}).svg())
    labels = [each.text for each in root.findall(f"{SVG}text") if each.get("text-anchor") == "end"]
    assert (labels[0], labels[-1]) == ("0", top)


def test_a_curve_is_a_table_and_a_plot_of_each_figure(tmp_path: Path) -> None:
    """What is drawn stands in the table, too."""
    curve = Curve(
        title="Calls",
        across="calls so far",
        points=_points,
        cost=us_per_call,
        cost_unit="CPU µs a call",
        kib=lambda _, run: run.held_kib / 1024,
        kib_unit="MiB at most",
    )
    assert drawn("calls", curve, tmp_path).splitlines() == [
        "### Calls",
        "",
        "| calls so far | tailrace, CPU µs a call | tailrace, MiB at most |",
        "| --- | --- | --- |",
        "| 1 | 500.0 | 2.0 |",
        "| 10 | 1000.0 | 2.0 |",
    ]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["calls-memory.svg", "calls.svg"]


def test_the_same_load_can_be_put_on_one_process_again_and_again() -> None:
    """All of it ends up in its bundles, and each time is measured alone."""
    plan = Plan(connections=2, script=Script(), seconds=9, calls=3)
    runs, faults = run_repeatedly(plan, installed((OURS,))[OURS], 2)
    assert faults == []
    assert [each.calls for each in runs] == [6, 6]


def test_each_curve_that_is_asked_for_exists() -> None:
    """One for each way in which work can grow."""
    assert [*CURVES] == ["streams", "event-size", "body-size", "bundle-size", "hours"]
