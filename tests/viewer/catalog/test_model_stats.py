"""The figures of models: sums, how calls ended, and exact percentiles."""

import statistics
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.call_rows import call_row
from tests.support.catalog_rows import CatalogRows
from viewer.catalog.model_stats import spread
from viewer.catalog.queries import stats
from viewer.catalog.rows import CallFilter, ModelStats, Spread, Timing, Usage


def usage(tokens_in: int, tokens_out: int) -> Usage:
    """What a call used, some of it cached and some reasoning."""
    return Usage(
        input_tokens=tokens_in,
        cached_input_tokens=tokens_in // 2,
        output_tokens=tokens_out,
        reasoning_output_tokens=tokens_out // 4,
    )


def stats_of(rows: CatalogRows, wanted: CallFilter | None = None) -> list[ModelStats]:
    """The figures, with the catalog closed after them."""
    with rows.catalog as catalog:
        return stats(catalog, wanted or CallFilter())


def test_each_model_is_summed_up(tmp_path: Path) -> None:
    """The one with most calls first; what a call does not tell counts for nothing."""
    rows = CatalogRows(tmp_path)
    rows.add(
        call_row(
            1,
            status="completed",
            timing=Timing(first_event=100.0, last_event=1100.0, ended=1101.25),
            usage=usage(1000, 40),
        ),
        call_row(2, status="failed", timing=Timing(ended=3.0)),
        call_row(3, timing=Timing(first_event=50.5)),
        call_row(4, Path("trace-2"), is_live=False, usage=usage(10, 4)),
        call_row(5, model="another", status="completed", usage=usage(0, 0)),
    )
    first, another = stats_of(rows)
    assert first == ModelStats(
        model="gpt-5.5",
        calls=4,
        statuses={"completed": 1, "failed": 1, "lost": 1, "running": 1},
        input_tokens=1010,
        cached_input_tokens=505,
        output_tokens=44,
        reasoning_output_tokens=11,
        first_event_ms=Spread(count=2, p50=50.5, p90=100.0, p99=100.0, max=100.0),
        duration_ms=Spread(count=2, p50=3.0, p90=1101.25, p99=1101.25, max=1101.25),
        output_tokens_per_second=Spread(count=1, p50=40.0, p90=40.0, p99=40.0, max=40.0),
    )
    assert (another.model, another.calls, another.duration_ms) == ("another", 1, None)


def test_stream_that_came_at_once_has_no_speed(tmp_path: Path) -> None:
    """It would be the network's; the figures of a call and of a model leave out the same ones."""
    rows = CatalogRows(tmp_path)
    calls = [
        call_row(number, timing=Timing(first_event=5.0, last_event=last), usage=usage(1, 50))
        for number, last in enumerate((5.0, 104.5, 105.0), start=1)
    ]
    rows.add(*calls)
    assert [call.output_tokens_per_second for call in calls] == [None, None, 500.0]
    (found,) = stats_of(rows)
    assert found.output_tokens_per_second == Spread(count=1, p50=500, p90=500, p99=500, max=500)


def test_only_what_is_wanted_counts(tmp_path: Path) -> None:
    """A filter holds of the figures as of lists."""
    rows = CatalogRows(tmp_path)
    rows.add(*(call_row(number, timing=Timing(ended=float(number))) for number in range(1, 9)))
    (found,) = stats_of(rows, CallFilter(slower_than_ms=6.0))
    assert found.duration_ms == Spread(count=2, p50=7.0, p90=8.0, p99=8.0, max=8.0)


def test_impossible_figures_do_no_harm(tmp_path: Path) -> None:
    """A bundle may say anything; sums that SQLite could not hold are as large as it can."""
    rows = CatalogRows(tmp_path)
    huge = 2**63 - 1
    rows.add(
        *(
            call_row(
                number,
                usage=usage(huge, huge),
                timing=Timing(first_event=5.0, last_event=5.0, ended=1e300),
            )
            for number in (1, 2)
        )
    )
    (found,) = stats_of(rows)
    assert found.input_tokens == huge
    assert found.output_tokens_per_second is None


@given(st.lists(st.integers(0, 10**6), min_size=1))
def test_percentiles_are_figures_of_calls(thousandths: list[int]) -> None:
    """So many of a hundred calls are at or below each, and one less would be too few."""
    found = spread(thousandths)
    assert found is not None
    assert found.max == max(thousandths) / 1000
    assert found.p50 == statistics.median_low(thousandths) / 1000
    for percent, figure in ((50, found.p50), (90, found.p90), (99, found.p99)):
        assert round(figure * 1000) in thousandths
        below = sum(value < round(figure * 1000) for value in thousandths)
        up_to = sum(value <= round(figure * 1000) for value in thousandths)
        assert below * 100 < percent * len(thousandths) <= up_to * 100


def test_no_figure_has_no_spread() -> None:
    """Where no call tells it, there is nothing to say."""
    assert spread([]) is None
