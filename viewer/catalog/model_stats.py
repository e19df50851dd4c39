"""Figures of the calls of each model: how many, how they ended, tokens, and how times spread."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from .call_rows import IS_LIVE
from .catalog import Catalog
from .conditions import conditions_of
from .rows import RATE_STREAM_MS_MIN, CallFilter, ModelStats, Spread

_RATE = "c.output_tokens * 1000.0 / (c.last_event_ms - c.first_event_ms)"
_HAS_RATE = f"c.last_event_ms - c.first_event_ms >= {RATE_STREAM_MS_MIN}"


@dataclass(slots=True)
class _Tally:
    """What is known of a model's calls so far. Figures are in thousandths."""

    calls: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    tokens: list[int] = field(default_factory=lambda: [0] * 4)
    figures: tuple[list[int], list[int], list[int]] = field(default_factory=lambda: ([], [], []))


def stats(catalog: Catalog, wanted: CallFilter) -> list[ModelStats]:
    """The models of the calls that are wanted, the one with most calls first.

    Percentiles are exact: each is the figure of a call. They are taken of the calls that tell it.
    """
    conditions = conditions_of(wanted)
    # A list of numbers comes as one text: a row for each call would cost more than all the rest.
    sql = (
        f"SELECT c.model, c.status, count(*), sum(NOT {IS_LIVE}),"
        f" {_added('c.input_tokens')}, {_added('c.cached_input_tokens')},"
        f" {_added('c.output_tokens')}, {_added('c.reasoning_output_tokens')},"
        f" {_listed('c.first_event_ms')}, {_listed('c.ended_ms')},"
        f" {_listed(f'iif({_HAS_RATE}, {_RATE}, NULL)')}"
        f" FROM calls c WHERE {conditions.sql} GROUP BY c.model, c.status"
    )
    tallies: dict[str, _Tally] = {}
    for row in catalog.connection.execute(sql, conditions.parameters):
        model, status, calls, dead = row[:4]
        tally = tallies.setdefault(model, _Tally())
        tally.calls += calls
        lost = dead if status == "running" else 0
        for shown, count in ((status, calls - lost), ("lost", lost)):
            if count:
                tally.statuses[shown] = count
        tally.tokens = [sum_ + new for sum_, new in zip(tally.tokens, row[4:8], strict=True)]
        for figures, listed in zip(tally.figures, row[8:], strict=True):
            figures += orjson.loads(f"[{listed or ''}]")
    found = [_stats_of(model, tally) for model, tally in tallies.items()]
    return sorted(found, key=lambda stats: (-stats.calls, stats.model))


def _added(tokens: str) -> str:
    # What a bundle tells may be too much for sum(), which is an error then.
    return f"CAST(total({tokens}) AS INTEGER)"


def _listed(figure: str) -> str:
    return f"group_concat(CAST(round({figure} * 1000) AS INTEGER))"


def _stats_of(model: str, tally: _Tally) -> ModelStats:
    first_event, duration, rate = map(spread, tally.figures)
    tokens_in, cached, tokens_out, reasoning = tally.tokens
    return ModelStats(
        model=model,
        calls=tally.calls,
        statuses=tally.statuses,
        input_tokens=tokens_in,
        cached_input_tokens=cached,
        output_tokens=tokens_out,
        reasoning_output_tokens=reasoning,
        first_event_ms=first_event,
        duration_ms=duration,
        output_tokens_per_second=rate,
    )


def spread(thousandths: Iterable[int]) -> Spread | None:
    """Percentiles of some figures, each of which is one of them; None of none."""
    figures = sorted(thousandths)
    if not figures:
        return None
    p50, p90, p99 = (figures[-(-len(figures) * percent // 100) - 1] for percent in (50, 90, 99))
    return Spread(
        count=len(figures),
        p50=p50 / 1000,
        p90=p90 / 1000,
        p99=p99 / 1000,
        max=figures[-1] / 1000,
    )
