"""How figures, times and texts are written on the page."""

import re
from datetime import UTC, datetime

from markupsafe import Markup, escape

from .. import figures
from ..figures import NOTHING

# Controls but tab and line feed, bidirectional marks, overrides and isolates, lone surrogates, and
# what nobody sees and a model reads: zero widths, fillers, tag and variation characters. The two
# joiners stay, which Persian, Hindi and families of emoji need.
ILLEGIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def legible(text: object) -> str:
    """A text from a bundle with whatever could hide or reorder some of it as an escape."""
    return ILLEGIBLE.sub(lambda found: ascii(found[0])[1:-1], str(text))


def beginning(text: str, characters: int) -> str:
    """A text on a line, cut behind a word where it is longer."""
    if len(text) <= characters:
        return text
    words, blank, rest = text[:characters].rpartition(" ")
    is_rest_short = blank and len(rest) < characters // 2
    return f"{(words if is_rest_short else text[: characters - 1]).rstrip(' .,;:')}…"


def count(value: int | None) -> str:
    """A whole number with its thousands apart."""
    return NOTHING if value is None else f"{value:,}"


def size(value: int | None) -> str:
    """A number of bytes, in the unit that suits it."""
    return NOTHING if value is None else figures.size(value)


def day(unix_ms: int) -> str:
    """The day, here, as ISO 8601 has it."""
    moment = _moment(unix_ms)
    return NOTHING if moment is None else f"{moment:%Y-%m-%d}"


def stamp(unix_ms: int | None, now_unix_ms: int | None = None) -> Markup:
    """A moment as an element: the time of day, and the day before it unless that is `now`'s."""
    moment = _moment(unix_ms)
    if moment is None:
        return escape(NOTHING)
    exact = moment.isoformat(timespec="milliseconds")
    before = Markup("")
    if now_unix_ms is None or day(now_unix_ms) != f"{moment:%Y-%m-%d}":
        before = Markup('<span class="day">{} </span>').format(f"{moment:%Y-%m-%d}")
    shown = Markup('<time datetime="{}" title="{}">{}{}</time>')
    return shown.format(exact, exact, before, f"{moment:%H:%M:%S}")


def _moment(unix_ms: int | None) -> datetime | None:
    if unix_ms is None:
        return None
    try:
        return datetime.fromtimestamp(unix_ms / 1000, UTC).astimezone()
    except (OverflowError, ValueError, OSError):
        return None  # no clock of ours wrote that
