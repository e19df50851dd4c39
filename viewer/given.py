"""Reads durations, moments and numbers of tokens as people type them."""

import re
from datetime import datetime

_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(ms|s|m|h|d)")
_COUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([kM]?)")


def duration_ms(text: str) -> float:
    """A duration such as 500ms, 2s or 1.5h, in milliseconds. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r}: a number and its unit are needed, such as 500ms, 2s or 1.5m")
    return float(found[1]) * _MS[found[2]]


def moment_ms(text: str, now_unix_ms: float) -> int:
    """A moment, in Unix milliseconds: how long ago it was, `today`, or ISO 8601. Raises ValueError.

    A date and time without a zone is ours here.
    """
    given = text.strip()
    if found := _DURATION.fullmatch(given):
        return round(now_unix_ms - float(found[1]) * _MS[found[2]])
    try:
        return _iso_ms(given, now_unix_ms)
    except (ValueError, OverflowError, OSError):
        raise ValueError(
            f"{text!r}: how long ago it was is needed (10m, 2h, 3d), or today, or a date and time"
            " (2026-11-23, 2026-11-23T04:00)"
        ) from None


def _iso_ms(text: str, now_unix_ms: float) -> int:
    if text == "today":
        now = datetime.fromtimestamp(now_unix_ms / 1000).astimezone()
        at = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    else:
        at = datetime.fromisoformat(text)
    return round(at.timestamp() * 1000)  # one without a zone is taken for ours


def tokens_count(text: str) -> int:
    """A number of tokens such as 800, 12k or 1.5M. Raises ValueError."""
    found = _COUNT.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r}: a number is needed, such as 800, 12k or 1.5M")
    return round(float(found[1]) * {"": 1, "k": 1000, "M": 1_000_000}[found[2]])
