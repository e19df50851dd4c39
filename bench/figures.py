"""What one run of a scenario through one relay came to, and medians and ratios over rounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from statistics import median

Figure = Callable[["Run"], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. CPU in seconds of whole process trees, delays in ms, ``wall`` in seconds."""

    relay: str
    frames: int
    wall: float
    relay_cpu: float
    upstream_cpu: float
    load_cpu: float
    delay_p50: float
    delay_p99: float

    @property
    def cpu_us_per_frame(self) -> float:
        """CPU of the relay for each frame from upstream, in microseconds."""
        return self.relay_cpu / self.frames * 1e6


Round = dict[str, Run]
"""The runs of one round, by relay."""


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


def ratio_of(rounds: Sequence[Round], relay: str, base: str) -> float:
    """CPU per frame as a multiple of another relay's: the median of each round's own ratio.

    Runs of a round follow each other closely, so what disturbs the machine disturbs both.
    """
    ratios = [
        each[relay].cpu_us_per_frame / each[base].cpu_us_per_frame
        for each in rounds
        if each[base].relay_cpu  # what took less than a tick cannot be divided by
    ]
    return median(ratios) if ratios else nan


def added_delay(rounds: Sequence[Round], relay: str, direct: str, figure: Figure) -> float:
    """How much later than without a relay, in ms: the median of the rounds' differences."""
    return median(figure(each[relay]) - figure(each[direct]) for each in rounds)
