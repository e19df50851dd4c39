"""Prints what was measured as Markdown: the machine, the versions, a table of each scenario."""

import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from math import isnan
from pathlib import Path

from .figures import (
    Delays,
    Figure,
    Round,
    Run,
    added_delay,
    median_of,
    ratio_of,
    spread_of,
    us_per_call,
    us_per_event,
)

DIRECT = "none"
"""The row of the load without a relay."""
NGINX = "nginx"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: its head, and its cell for a relay."""

    head: str
    cell: Callable[[Sequence[Round], str], str]
    for_direct: bool = False


def machine() -> str:
    """Say what this ran on, and how busy it was in the last minute."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {names[0] if names else platform.machine()}, {platform.system()}"
        f" {platform.release()}, load average {os.getloadavg()[0]:.1f}"
    )


def versions(others: Mapping[str, str | None]) -> str:
    """Say what was compared; of the others, None stands for what is not installed."""
    told = [f"{name} {each or 'not installed, so left out'}" for name, each in others.items()]
    ours = f"tailrace {version('tailrace')}, Python {platform.python_version()}"
    return ", ".join([ours, f"aiohttp {version('aiohttp')}", *told])


def table(rounds: Sequence[Round], columns: Sequence[Column]) -> str:
    """One row for each relay: medians over the rounds."""
    rows = [["through", *(column.head for column in columns)], ["---"] * (len(columns) + 1)]
    for relay in rounds[0]:
        cells = [
            column.cell(rounds, relay) if column.for_direct or relay != DIRECT else ""
            for column in columns
        ]
        rows.append([relay, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cost(unit: str, figure: Figure) -> list[Column]:
    """What a call or an event costs: the median, and how far the rounds lie apart."""

    def spread(rounds: Sequence[Round], relay: str) -> str:
        least, most = spread_of(rounds, relay, figure)
        return f"{least:.1f} to {most:.1f}"

    return [
        Column(f"CPU µs {unit}", lambda rounds, relay: f"{median_of(rounds, relay, figure):.1f}"),
        Column("least to most", spread),
    ]


def ratio(base: str, figure: Figure) -> Column:
    """A cost as a multiple of another relay's."""

    def cell(rounds: Sequence[Round], relay: str) -> str:
        return f"{ratio_of(rounds, relay, base, figure):.2f}" if base in rounds[0] else "-"

    return Column(f"x {base}", cell)


def calls_per_second() -> Column:
    """How many calls came whole in a second."""

    def cell(rounds: Sequence[Round], relay: str) -> str:
        return f"{median_of(rounds, relay, lambda run: run.calls / run.wall):.0f}"

    return Column("calls/s", cell, for_direct=True)


def delays(head: str, which: Callable[[Run], Delays | None], *, p999: bool = False) -> list[Column]:
    """How late something was, and how much later than without a relay."""
    parts: dict[str, Figure] = {
        "p50": lambda run: _known(which(run)).p50,
        "p99": lambda run: _known(which(run)).p99,
        **({"p99.9": lambda run: _known(which(run)).p999} if p999 else {}),
        "most": lambda run: _known(which(run)).most,
    }
    added_parts = dict(list(parts.items())[:-1])  # the most says little of a difference

    def whole(rounds: Sequence[Round], relay: str) -> str:
        return " / ".join(f"{median_of(rounds, relay, each):.2f}" for each in parts.values())

    def added(rounds: Sequence[Round], relay: str) -> str:
        if DIRECT not in rounds[0]:
            return "-"
        found = [added_delay(rounds, relay, DIRECT, each) for each in added_parts.values()]
        return " / ".join(f"{each:.2f}" for each in found)

    return [
        Column(f"{head} {' / '.join(parts)} ms", whole, for_direct=True),
        Column(f"added {' / '.join(added_parts)} ms", added),
    ]


def memory(streams: int | None = None) -> Column:
    """Memory before the load, and the most above that, in all or for each stream."""

    def grown_kib(rounds: Sequence[Round], relay: str) -> float:
        return median_of(rounds, relay, lambda run: run.held_kib - run.idle_kib)

    def cell(rounds: Sequence[Round], relay: str) -> str:
        idle = median_of(rounds, relay, lambda run: run.idle_kib / 1024)
        if streams is None:
            return f"{idle:.0f} + {grown_kib(rounds, relay) / 1024:.1f}"
        return f"{idle:.0f} + {grown_kib(rounds, relay) / streams:.1f} KiB a stream"

    return Column("memory MiB: idle + growth", cell)


def shares_of_ends() -> Column:
    """What share of a core upstream and the load took: the proof that they were not the limit."""

    def cell(rounds: Sequence[Round], relay: str) -> str:
        upstream = median_of(rounds, relay, lambda run: run.upstream_cpu / run.wall)
        load = median_of(rounds, relay, lambda run: run.load_cpu / run.wall)
        return f"{upstream:.0%}, {load:.0%}"

    return Column("CPU of upstream, load", cell, for_direct=True)


@dataclass(frozen=True, slots=True)
class Goal:
    """What is aimed at: a figure over all rounds, at most so much. It needs these relays' runs."""

    what: str
    most: float
    figure: Callable[[Sequence[Round]], float]
    needs: tuple[str, ...]


def ratio_goal(relay: str, base: str, most: float, figure: Figure) -> Goal:
    """Aim at a cost of at most so many times another relay's."""
    return Goal(
        f"CPU, {relay} / {base}",
        most,
        lambda rounds: ratio_of(rounds, relay, base, figure),
        (relay, base),
    )


def added_goal(what: str, relay: str, most: float, figure: Figure) -> Goal:
    """Aim at a delay of at most so many ms above that without a relay."""
    return Goal(
        f"{what}, added, ms",
        most,
        lambda rounds: added_delay(rounds, relay, DIRECT, figure),
        (relay, DIRECT),
    )


def growth_goal(relay: str, most: float, *, for_each: float = 1.0) -> Goal:
    """Aim at a growth of memory of at most so many MiB; or KiB, for each of so many streams."""
    unit = "MiB" if for_each == 1.0 else "KiB a stream"
    divisor = 1024 if for_each == 1.0 else for_each
    return Goal(
        f"memory above idle, {unit}",
        most,
        lambda rounds: median_of(rounds, relay, lambda run: run.held_kib - run.idle_kib) / divisor,
        (relay,),
    )


def goals(rounds: Sequence[Round], wanted: Sequence[Goal]) -> str:
    """Say of each goal whether it is met; nothing of those that need a relay that did not run."""
    lines = [
        _goal(rounds, goal) for goal in wanted if all(each in rounds[0] for each in goal.needs)
    ]
    return "\n".join(lines)


def _goal(rounds: Sequence[Round], goal: Goal) -> str:
    found = goal.figure(rounds)
    if isnan(found):
        return f"- {goal.what}: the runs were too short to compare, with less than a tick of CPU"
    met = "met" if found <= goal.most else "**not met**"
    return f"- {goal.what}: {found:.2f}; the goal, at most {goal.most:g}, is {met}"


def tell(line: str) -> None:
    """Say how far it has got, beside the report."""
    print(line, file=sys.stderr, flush=True)


def run_line(number: str, run: Run) -> str:
    """One run on one line."""
    each = f"{us_per_event(run):6.1f} µs an event" if run.events else ""
    late = f"p50 {run.deltas.p50:.2f}  p99 {run.deltas.p99:.2f} ms" if run.deltas else ""
    return (
        f"{number:>8}  {run.relay:<12} {run.calls:>6} calls  {run.calls / run.wall:6.0f}/s"
        f"  {us_per_call(run):8.1f} µs a call  {each}  {late}"
    )


def _known(delays: Delays | None) -> Delays:
    assert delays is not None, "a scenario reports only what it measures"
    return delays
