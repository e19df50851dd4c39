"""How cost and memory grow with the work: one curve for each way in which it can.

    python -m bench.curves [CURVE ...] [--output DIR]

Each is printed as a table and drawn as SVG. A point counts only if nothing was lost there.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from .contenders import OURS, contenders, installed
from .figures import Run, us_per_call, us_per_event
from .http_rounds import Plan, run, run_repeatedly
from .plot import Plot, Point
from .process import ROOT, CannotStartError
from .report import NGINX, machine, versions
from .script import Script, body_size

MB = 1_000_000
EVENTS_PER_SECOND = 2_000
DISK_BYTES_PER_SECOND = 40 * MB
CALLS_PER_SECOND = 400


class LossError(Exception):
    """A point that lost something is no point; the message says what was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What grows, and what is seen at each step."""

    title: str
    across: str
    points: Callable[[], Iterator[tuple[float, dict[str, Run]]]]
    cost: Callable[[Run], float]
    cost_unit: str
    is_log: bool = True
    kib: Callable[[float, Run], float] | None = None
    kib_unit: str = ""


def _both(plan: Plan) -> dict[str, Run]:
    """Run ours and nginx once."""
    relays = [*installed((OURS, NGINX)).values()]
    outcome = run(plan, relays, 1, with_direct=False)
    if outcome.faults or outcome.dropped:
        raise LossError(str(outcome.faults or outcome.dropped))
    return dict(outcome.rounds[0])


def _streams() -> Iterator[tuple[float, dict[str, Run]]]:
    """More and more streams, with as many events in all."""
    for streams in (1, 10, 100, 1_000, 2_000):
        pace = streams / EVENTS_PER_SECOND
        opening = 2.0 + streams / 1_000
        seconds = opening + 3.0
        script = Script(stream=True, deltas=round((seconds + 1) / pace), pace=pace)
        plan = Plan(
            connections=streams,
            script=script,
            seconds=seconds,
            calls=1,
            spread=(opening - 1.0) * 1.0123,
            window=(opening, seconds),
        )
        yield streams, _both(plan)


def _event_size() -> Iterator[tuple[float, dict[str, Run]]]:
    """Larger and larger events, as many a second as a disk takes."""
    for size in (10, 100, 1_000, 10_000, 100_000):
        script = Script(stream=True, deltas=50 if size < 100_000 else 10, delta_bytes=size)
        yield size, _both(_limited(script, body_size(script)))


def _body_size() -> Iterator[tuple[float, dict[str, Run]]]:
    """Larger and larger requests, as many a second as a disk takes."""
    for size in (1_000, 10_000, 100_000, MB, 10 * MB):
        yield size, _both(_limited(Script(request_bytes=size), size))


def _limited(script: Script, call_bytes: int) -> Plan:
    connections = 4
    rate = min(CALLS_PER_SECOND, DISK_BYTES_PER_SECOND / call_bytes)
    return Plan(
        connections=connections,
        script=script,
        seconds=3.0,
        spread=connections / rate,
        interval=connections / rate,
    )


def _bundle_size() -> Iterator[tuple[float, dict[str, Run]]]:
    """More and more calls in one bundle."""
    calls = 2_000
    plan = Plan(connections=10, script=Script(), seconds=60.0, calls=calls // 10)
    for step, each in enumerate(_one_process(plan, 10), 1):
        yield step * calls, {OURS: each}


def _hours() -> Iterator[tuple[float, dict[str, Run]]]:
    """Hour after hour of a busy team's traffic, the pauses left out, over several bundles."""
    script = Script(stream=True, deltas=200)
    plan = Plan(connections=10, script=script, seconds=60.0, calls=100, interval=0.02)
    for hour, each in enumerate(_one_process(plan, 12), 1):
        yield hour, {OURS: each}


def _one_process(plan: Plan, times: int) -> list[Run]:
    """Put the same load on one process of ours again and again."""
    runs, faults = run_repeatedly(plan, installed((OURS,))[OURS], times)
    if faults:
        raise LossError(faults[0])
    return runs


CURVES = {
    "streams": Curve(
        title="Streams at once, 2,000 events a second in all",
        across="streams",
        points=_streams,
        cost=us_per_event,
        cost_unit="CPU µs an event",
        kib=lambda streams, run: (run.held_kib - run.idle_kib) / streams,
        kib_unit="KiB a stream",
    ),
    "event-size": Curve(
        title="Size of an event",
        across="bytes of text in a delta",
        points=_event_size,
        cost=us_per_event,
        cost_unit="CPU µs an event",
    ),
    "body-size": Curve(
        title="Size of a request",
        across="bytes of a request",
        points=_body_size,
        cost=us_per_call,
        cost_unit="CPU µs a call",
    ),
    "bundle-size": Curve(
        title="Calls in one bundle",
        across="calls so far",
        points=_bundle_size,
        cost=us_per_call,
        cost_unit="CPU µs a call",
        is_log=False,
        kib=lambda _, run: run.held_kib / 1024,
        kib_unit="MiB at most",
    ),
    "hours": Curve(
        title="Hours of 1,000 streamed calls each, one after the other",
        across="hours so far",
        points=_hours,
        cost=us_per_call,
        cost_unit="CPU µs a call",
        is_log=False,
        kib=lambda _, run: run.held_kib / 1024,
        kib_unit="MiB at most",
    ),
}


@click.command()
@click.argument("names", metavar="[CURVE]...", nargs=-1, type=click.Choice([*CURVES]))
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "docs" / "plots",
    help="Where the plots go.  [default: docs/plots]",
)
def main(names: tuple[str, ...], output: Path) -> None:
    """Measure how cost and memory grow with the work."""
    output.mkdir(parents=True, exist_ok=True)
    click.echo(f"{machine()}; {versions({NGINX: contenders()[NGINX].version})}")
    for name in names or CURVES:
        try:
            click.echo(f"\n{drawn(name, CURVES[name], output)}")
        except (CannotStartError, LossError) as error:
            click.echo(f"{name}: no result: {error}", err=True)
            sys.exit(1)


def drawn(name: str, curve: Curve, output: Path) -> str:
    """Measure a curve, draw it, and return its table."""
    points = list(curve.points())
    plots: dict[str, tuple[str, Callable[[float, Run], float]]] = {
        name: (curve.cost_unit, lambda _, run: curve.cost(run))
    }
    if curve.kib is not None:
        plots[f"{name}-memory"] = (curve.kib_unit, curve.kib)
    heads = [curve.across]
    rows = [[f"{x:,.0f}"] for x, _ in points]
    for file_name, (unit, value) in plots.items():
        lines: dict[str, list[Point]] = {
            relay: [(x, value(x, runs[relay])) for x, runs in points] for relay in points[0][1]
        }
        plot = Plot(
            title=curve.title, across=curve.across, up=unit, lines=lines, is_log=curve.is_log
        )
        (output / f"{file_name}.svg").write_text(plot.svg())
        heads += [f"{relay}, {unit}" for relay in lines]
        for row, line in zip(rows, zip(*lines.values(), strict=True), strict=True):
            row += [f"{y:.1f}" for _, y in line]
    cells = [heads, ["---"] * len(heads), *rows]
    return f"### {curve.title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in cells)


if __name__ == "__main__":
    main(prog_name="python -m bench.curves")
