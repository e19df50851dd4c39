"""How times, sizes, numbers of tokens and ids are written for a person, wherever that is."""

import time

NOTHING = "-"
"""In the place of a figure that is not known."""

SHORT_ID_CHARS = 8


def short_id(call_id: str) -> str:
    """As much of a call's id as tells it from others: its end, since the beginning is a time."""
    return call_id[-SHORT_ID_CHARS:]


def clock(unix_ms: int) -> str:
    """The time of day, here."""
    return _local(unix_ms, "%H:%M:%S")


def moment(unix_ms: int) -> str:
    """The day and the time of day, here, as ISO 8601 has them."""
    return _local(unix_ms, "%Y-%m-%dT%H:%M:%S")


def when(unix_ms: int, now_unix_ms: float) -> str:
    """The time of day where it was today, else the day and less of the time; as `ls -l` has it."""
    day, today = (_local(at, "%Y-%m-%d") for at in (unix_ms, now_unix_ms))
    if day == today:
        return clock(unix_ms)
    return _local(unix_ms, "%b %d %H:%M" if day[:4] == today[:4] else "%Y-%m-%d")


def _local(unix_ms: float, form: str) -> str:
    try:
        return time.strftime(form, time.localtime(unix_ms / 1000))
    except (OverflowError, ValueError, OSError):
        return NOTHING  # no clock wrote that


def duration(ms: float | None) -> str:
    """A time given in milliseconds: 1.9 ms, 87 ms, 1.24 s, 12.4 s, 3 m 05 s, 2 h 10 m."""
    if ms is None:
        return NOTHING
    if ms < 9.95:
        return f"{ms:.1f} ms"
    if ms < 999.5:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} m"


def size(count: int) -> str:
    """A number of bytes: 812 B, 9.1 kB, 1.2 MB."""
    if count < 1000:
        return f"{count} B"
    if count < 999_950:
        return f"{count / 1000:.1f} kB"
    if count < 999_950_000:
        return f"{count / 1_000_000:.1f} MB"
    return f"{count / 1_000_000_000:.1f} GB"


def tokens(count: int | None) -> str:
    """A number of tokens: 812, 12.3k, 1.2M."""
    if count is None:
        return NOTHING
    if count < 1000:
        return str(count)
    return f"{count / 1000:.1f}k" if count < 999_950 else f"{count / 1_000_000:.1f}M"
