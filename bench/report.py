"""Prints what was measured as Markdown: the machine, the versions, one table, and the goal."""

import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from math import isnan
from pathlib import Path

from .figures import Round, Run, added_delay, median_of, ratio_of, spread_of

GOAL = 1.2
"""CPU per frame of ours as a multiple of the bare relay's, at most."""


def machine() -> str:
    """Say what this ran on, and how busy it was in the last minute."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores of {names[0] if names else platform.machine()}, {platform.system()}"
        f" {platform.release()}, load average {os.getloadavg()[0]:.1f}"
    )


def versions(nginx: str | None) -> str:
    """Say what was compared."""
    return (
        f"tailrace {version('tailrace')}, Python {platform.python_version()},"
        f" aiohttp {version('aiohttp')}, nginx {nginx or 'not installed, so left out'}"
    )


def table(rounds: Sequence[Round], *, bare: str, nginx: str, direct: str) -> str:
    """One row for each relay: medians over the rounds."""
    heads = [
        "through", "CPU µs a frame", "least to most", f"x {bare}", f"x {nginx}",
        "delay p50 / p99 ms", "added p50 / p99 ms", "CPU of upstream, load",
    ]  # fmt: skip
    rows = [heads, ["---"] * len(heads)]
    for relay in rounds[0]:
        relayed = relay != direct
        least, most = spread_of(rounds, relay, lambda run: run.cpu_us_per_frame)
        p50, p99 = (median_of(rounds, relay, figure) for figure in (_p50, _p99))
        added = [added_delay(rounds, relay, direct, figure) for figure in (_p50, _p99)]
        ends = [median_of(rounds, relay, figure) for figure in (_upstream_share, _load_share)]
        cost = median_of(rounds, relay, lambda run: run.cpu_us_per_frame)
        rows.append(
            [
                relay,
                f"{cost:.1f}" if relayed else "",
                f"{least:.1f} to {most:.1f}" if relayed else "",
                _ratio(rounds, relay, bare) if relayed else "",
                _ratio(rounds, relay, nginx) if relayed else "",
                f"{p50:.2f} / {p99:.2f}",
                f"{added[0]:.2f} / {added[1]:.2f}" if relayed else "",
                f"{ends[0]:.0%}, {ends[1]:.0%}",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def goal(rounds: Sequence[Round], *, ours: str, bare: str) -> str:
    """Say whether the goal is met."""
    ratio = ratio_of(rounds, ours, bare)
    if isnan(ratio):
        return "The runs were too short to compare: the bare relay took less than a tick of CPU."
    met = "met" if ratio <= GOAL else "not met"
    return f"CPU a frame, {ours} / {bare}: {ratio:.2f}. The goal, at most {GOAL}, is {met}."


def tell(line: str) -> None:
    """Say how far it has got, beside the report."""
    print(line, file=sys.stderr, flush=True)


def run_line(number: str, run: Run) -> str:
    """One run on one line."""
    return (
        f"{number:>8}  {run.relay:<8} {run.frames} frames"
        f"  {run.cpu_us_per_frame:6.1f} µs  p50 {run.delay_p50:.2f}  p99 {run.delay_p99:.2f} ms"
    )


def _ratio(rounds: Sequence[Round], relay: str, base: str) -> str:
    return f"{ratio_of(rounds, relay, base):.2f}" if base in rounds[0] else "-"


def _p50(run: Run) -> float:
    return run.delay_p50


def _p99(run: Run) -> float:
    return run.delay_p99


def _upstream_share(run: Run) -> float:
    return run.upstream_cpu / run.wall


def _load_share(run: Run) -> float:
    return run.load_cpu / run.wall
