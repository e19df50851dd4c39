"""Times, sizes and numbers of tokens as a person reads them."""

import pytest

from viewer.figures import clock, duration, moment, short_id, size, tokens


@pytest.mark.parametrize(
    ("ms", "written"),
    [
        (None, "-"),
        (0.0, "0.0 ms"),
        (9.94, "9.9 ms"),
        (9.96, "10 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (9_994.0, "9.99 s"),
        (9_996.0, "10.0 s"),
        (59_940.0, "59.9 s"),
        (59_960.0, "1 m 00 s"),
        (125_000.0, "2 m 05 s"),
        (3_599_400.0, "59 m 59 s"),
        (3_599_600.0, "1 h 00 m"),
        (93_600_000.0, "26 h 00 m"),
    ],
)
def test_a_duration_has_three_figures(ms: float | None, written: str) -> None:
    """And never 60 of a unit, wherever it is rounded."""
    assert duration(ms) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [
        *((0, "0 B"), (999, "999 B"), (9100, "9.1 kB"), (999_949, "999.9 kB")),
        *((999_950, "1.0 MB"), (999_949_999, "999.9 MB"), (999_950_000, "1.0 GB")),
    ],
)
def test_a_size_has_its_unit(count: int, written: str) -> None:
    """Never 1,000 of one."""
    assert size(count) == written


@pytest.mark.parametrize(
    ("count", "written"),
    [(None, "-"), (999, "999"), (12_345, "12.3k"), (999_949, "999.9k"), (1_240_000, "1.2M")],
)
def test_tokens_are_counted_in_thousands(count: int | None, written: str) -> None:
    """Where there are many."""
    assert tokens(count) == written


def test_an_absurd_time_raises_nothing() -> None:
    """A bundle's writer may have put anything there."""
    for unix_ms in (2**63 - 1, -(2**63), 2**80):
        assert clock(unix_ms)
        assert moment(unix_ms)
    assert clock(2**80) == moment(2**80) == "-"


def test_a_short_id_is_the_end_of_a_long_one() -> None:
    """The beginning is a time, which calls share."""
    assert short_id("01a206b4-7fea-77ba-a639-62a12f953bab") == "2f953bab"
    assert short_id("call") == "call"
