"""Counts what the proxy does, for Prometheus; the exposition is prometheus_client's."""

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .shared_counts import CountsPage, SharedCounts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_RESTARTS = "worker_restarts"
_OPEN_EXCHANGES = "open_exchanges"
_GAP = " "


class Tally:
    """Counts of one kind by label: ``tally[label] += 1``, from one thread for each label."""

    def __init__(self, page: CountsPage, kind: str) -> None:
        self._page = page
        self._kind = kind + _GAP

    def __getitem__(self, label: str) -> int:
        """The count so far."""
        return self._page.get(self._kind + label)

    def __setitem__(self, label: str, count: int) -> None:
        """Set the count."""
        self._page.set(self._kind + label, count)


class Metrics(Collector):
    """Plain numbers that the traffic's side adds to; they become metrics when asked for.

    One worker adds to its own, and what it exposes is the sum over all, also of those that died.
    """

    def __init__(self, counts: SharedCounts | None = None, page: int = 0) -> None:
        """Go on with a page of ``counts``; without them, count for this process alone."""
        self._counts = counts or SharedCounts(1)
        self._page = self._counts.page(page)
        self.requests = Tally(self._page, "requests")
        """Answered requests by class of status: 2xx, 4xx, ..., none where none was sent."""
        self.calls = Tally(self._page, "calls")
        """Recorded calls by terminal: completed, failed, cancelled."""
        self.refused = Tally(self._page, "refused")
        """Refused requests by the code of the refusal."""
        self._lost = Tally(self._page, "lost")
        self._lost_told: Counter[str] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    @property
    def open_exchanges(self) -> int:
        """Exchanges that go on now."""
        return self._page.get(_OPEN_EXCHANGES)

    @open_exchanges.setter
    def open_exchanges(self, count: int) -> None:
        self._page.set(_OPEN_EXCHANGES, count)

    def note_lost(self, lost: Mapping[str, int]) -> None:
        """Note what tracing could not keep, by kind, since this process began."""
        for what, amount in lost.items():
            self._lost[what] += amount - self._lost_told[what]
            self._lost_told[what] = amount

    def collect(self) -> Iterator[Metric]:
        """Give the metrics as they stand."""
        total = self._counts.total()
        yield _counter("requests", "Requests relayed, by class of status.", "status", total)
        yield _counter("calls", "Calls recorded, by terminal event.", "terminal", total)
        yield _counter("refused", "Requests refused, by reason.", "code", total)
        yield _counter("lost", "What tracing could not keep.", "what", total)
        yield CounterMetricFamily(
            "tailrace_worker_restarts",
            "Workers started in the place of one that died.",
            total[_RESTARTS],
        )
        yield GaugeMetricFamily(
            "tailrace_open_exchanges", "Exchanges that go on now.", total[_OPEN_EXCHANGES]
        )

    def exposition(self, lost: Mapping[str, int]) -> bytes:
        """Return the page that Prometheus reads. ``lost`` is what tracing could not keep."""
        self.note_lost(lost)
        return generate_latest(self._registry)


def note_death(counts: SharedCounts, page: int) -> None:
    """Note that the worker of this page died: it has nothing open any more."""
    counts.page(page).set(_OPEN_EXCHANGES, 0)


def note_restart(counts: SharedCounts, page: int) -> None:
    """Note, on the parent's own page, that a worker was started in the place of one that died."""
    own = counts.page(page)
    own.set(_RESTARTS, own.get(_RESTARTS) + 1)


def _counter(
    kind: str, help_text: str, label: str, total: Mapping[str, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"tailrace_{kind}", help_text, labels=[label])
    for name, count in sorted(total.items()):
        if name.startswith(kind + _GAP):
            family.add_metric([name.removeprefix(kind + _GAP)], count)
    return family
