"""Durations, moments and numbers of tokens as people type them."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viewer.given import duration_ms, moment_ms, tokens_count

NOW = datetime(2026, 11, 23, 15, 30, 45).astimezone().timestamp() * 1000


def here(*when: int) -> float:
    """The Unix milliseconds of a date and time that is ours here."""
    return datetime(*when).astimezone().timestamp() * 1000  # type: ignore[arg-type]  # as many numbers as are given


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("500ms", 500),
        ("0s", 0),
        ("2s", 2000),
        ("1.5m", 90_000),
        (" 1.5h ", 5_400_000),
        ("1 s", 1000),
        ("3d", 3 * 86_400_000),
    ],
)
def test_durations(text: str, ms: float) -> None:
    """A number and its unit; as a moment it is so long ago."""
    assert duration_ms(text) == ms
    assert moment_ms(text, NOW) == NOW - ms


@pytest.mark.parametrize(
    "text", ["", "2", "s", "-1s", "1e3s", "1,5s", "2 weeks", "٣s", "9" * 40 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    """The message repeats it, and shows how it is done."""
    with pytest.raises(ValueError, match="such as 500ms") as told:
        duration_ms(text)
    assert repr(text) in str(told.value)


@pytest.mark.parametrize(
    ("text", "unix_ms"),
    [
        ("today", here(2026, 11, 23)),
        ("2026-11-22", here(2026, 11, 22)),
        ("2026-11-22T04:05", here(2026, 11, 22, 4, 5)),
        ("2026-11-22 04:05:06.5", here(2026, 11, 22, 4, 5, 6, 500_000)),
        ("1970-01-01T00:00Z", 0),
        ("1970-01-01T02:00+02:00", 0),
    ],
)
def test_moments(text: str, unix_ms: float) -> None:
    """A day begins at midnight here; a zone that is given counts."""
    assert moment_ms(text, NOW) == unix_ms


@pytest.mark.parametrize("text", ["", "yesterday", "2026-02-30", "0001-01-01", "10", "tomorrow"])
def test_what_is_no_moment(text: str) -> None:
    """The message repeats it, and shows what can be told."""
    with pytest.raises(ValueError, match="10m, 2h, 3d") as told:
        moment_ms(text, NOW)
    assert repr(text) in str(told.value)


@pytest.mark.parametrize(
    ("text", "count"), [("800", 800), ("12k", 12_000), ("1.5M", 1_500_000), (" 0 ", 0)]
)
def test_tokens(text: str, count: int) -> None:
    """With k and M, as they are shown."""
    assert tokens_count(text) == count


@given(st.text(max_size=12))
def test_whatever_is_typed(text: str) -> None:
    """It is read, or refused with a sentence that repeats it."""
    for read in (duration_ms, tokens_count, lambda given: moment_ms(given, NOW)):
        problem = None
        try:
            read(text)
        except ValueError as error:
            problem = str(error)
        assert problem is None or repr(text) in problem
