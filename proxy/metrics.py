"""Counts what the proxy does, for Prometheus; the exposition is prometheus_client's."""

from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics(Collector):
    """Plain numbers that the traffic's side adds to; they become metrics when asked for."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """Answered requests by class of status: 2xx, 4xx, ..., none where none was sent."""
        self.calls: Counter[str] = Counter()
        """Recorded calls by terminal: completed, failed, cancelled."""
        self.refused: Counter[str] = Counter()
        """Refused requests by the code of the refusal."""
        self.open_exchanges = 0
        self._lost: Counter[str] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Give the metrics as they stand."""
        yield _counter("requests", "Requests relayed, by class of status.", "status", self.requests)
        yield _counter("calls", "Calls recorded, by terminal event.", "terminal", self.calls)
        yield _counter("refused", "Requests refused, by reason.", "code", self.refused)
        yield _counter("lost", "What tracing could not keep.", "what", self._lost)
        yield GaugeMetricFamily(
            "tailrace_open_exchanges", "Exchanges that go on now.", self.open_exchanges
        )

    def exposition(self, lost: Mapping[str, int]) -> bytes:
        """Return the page that Prometheus reads. ``lost`` is what tracing could not keep."""
        self._lost = Counter(lost)
        return generate_latest(self._registry)


def _counter(name: str, help_text: str, label: str, counts: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"tailrace_{name}", help_text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
