"""What one run of a scenario through one relay came to; medians and ratios over rounds."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import nan
from statistics import median
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    """How late something was, in ms."""

    p50: float
    p99: float
    p999: float
    most: float

    @classmethod
    def of(cls, nanoseconds: Iterable[int]) -> Self | None:
        """Sum up; None where there was nothing."""
        values = sorted(each / 1e6 for each in nanoseconds)
        if not values:
            return None
        return cls(
            p50=percentile(values, 0.5),
            p99=percentile(values, 0.99),
            p999=percentile(values, 0.999),
            most=values[-1],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. CPU in seconds of whole process trees, ``wall`` in seconds, memory in KiB.

    ``held_kib`` is the most memory during the run, or that at the end of its window.
    ``first_events`` and ``whole_calls`` are from the request's write, ``deltas`` from upstream's
    write of each.
    """

    relay: str
    calls: int
    events: int
    wall: float
    relay_cpu: float
    upstream_cpu: float
    load_cpu: float
    deltas: Delays | None = None
    first_events: Delays | None = None
    whole_calls: Delays | None = None
    idle_kib: int = 0
    held_kib: int = 0


Figure = Callable[[Run], float]
Round = Mapping[str, Run]
"""The runs of one round, by relay."""


def us_per_event(run: Run) -> float:
    """CPU of the relay for each event from upstream, in microseconds."""
    return run.relay_cpu / run.events * 1e6 if run.events else nan


def us_per_call(run: Run) -> float:
    """CPU of the relay for each call, in microseconds: so, too, ms for 1,000 calls."""
    return run.relay_cpu / run.calls * 1e6 if run.calls else nan


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all are at or below."""
    return sorted_values[min(int(share * len(sorted_values)), len(sorted_values) - 1)]


def median_of(rounds: Sequence[Round], relay: str, figure: Figure) -> float:
    """A figure's median over the rounds."""
    return median(figure(each[relay]) for each in rounds)


def spread_of(rounds: Sequence[Round], relay: str, figure: Figure) -> tuple[float, float]:
    """A figure's least and greatest value over the rounds."""
    values = [figure(each[relay]) for each in rounds]
    return min(values), max(values)


def ratio_of(rounds: Sequence[Round], relay: str, base: str, cost: Figure) -> float:
    """A cost as a multiple of another relay's: the median of each round's own ratio.

    Runs of a round follow each other closely, so what disturbs the machine disturbs both.
    """
    ratios = [
        cost(each[relay]) / cost(each[base])
        for each in rounds
        if each[base].relay_cpu  # what took less than a tick cannot be divided by
    ]
    return median(ratios) if ratios else nan


def added_delay(rounds: Sequence[Round], relay: str, direct: str, figure: Figure) -> float:
    """How much later than without a relay, in ms: the median of the rounds' differences."""
    return median(figure(each[relay]) - figure(each[direct]) for each in rounds)
