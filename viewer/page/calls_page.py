"""The page of all calls: the strip of them over time, filters, and the list."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..call.live import Progress
from ..catalog.queries import (
    branched,
    calls_by_ids,
    count_by_status,
    find_calls,
    models,
    search,
    strip,
)
from ..catalog.rows import STATUSES, CallFilter, CallRow, Cursor
from .call_filters import Filters, filters_of
from .strip import POINTS_MAX, strip_of
from .view import Html, Route, View

ROWS = 50
"""Calls on one page."""

_PLACE = re.compile(r"(-?[0-9]{1,17})\.([0-9]{1,17})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A call in the list. `share` is its duration beside the longest on the page, in percent.

    `excerpt` is where a text that was searched for stands in it: plain and found, in turn.
    """

    row: CallRow
    duration_ms: float | None
    share: float
    progress: Progress | None
    excerpt: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Where the list goes on; None where it does not."""

    newest: str | None
    newer: str | None
    older: str | None


def calls_page(view: View) -> Html:
    """The calls that the query asks for, newest first."""
    filters = filters_of(view.query, view.now_unix_ms)
    context: dict[str, object] = {"here": "calls", "filters": filters}
    if view.fragment in {None, "strip"}:
        points = strip(view.catalog, filters.wanted, limit=POINTS_MAX)
        context["strip"] = strip_of(points, view.now_unix_ms)
    if view.fragment in {None, "list"}:
        context |= _list(view, filters)
    if view.fragment is None:
        context["models"] = models(view.catalog)
        context["statuses"] = STATUSES
    return Html("calls", context)


def _list(view: View, filters: Filters) -> dict[str, object]:
    catalog, wanted = view.catalog, filters.wanted
    after, before = _cursor(view.query.get("after")), _cursor(view.query.get("before"))
    rows = find_calls(catalog, wanted, limit=ROWS + 1, after=after, before=before)
    has_more = len(rows) > ROWS
    # Of the one call too many, which says that there are more, the side depends on the direction.
    rows = rows[-ROWS:] if before is not None else rows[:ROWS]
    counts = count_by_status(catalog, replace(wanted, statuses=frozenset()))
    shown = [s for s in STATUSES if counts.get(s) and s in (wanted.statuses or STATUSES)]
    return {
        "lines": _lines(view, rows, filters),
        "linked": calls_by_ids(catalog, [row.retry_of for row in rows if row.retry_of is not None]),
        "branches": branched(catalog, rows),
        "counts": {status: counts[status] for status in shown},
        "total": sum(counts[status] for status in shown),
        "pages": _pages(view, rows, has_more=has_more, after=after, before=before),
    }


def _pages(
    view: View,
    rows: Sequence[CallRow],
    *,
    has_more: bool,
    after: Cursor | None,
    before: Cursor | None,
) -> Pages:
    """Where the list goes on, on either side."""
    has_newer = has_more if before is not None else after is not None
    has_older = before is not None or has_more

    def url(**places: str | None) -> str:
        return "/" + view.query.replaced(**{"after": None, "before": None} | places)

    return Pages(
        newest=url() if after is not None or before is not None else None,
        newer=url(before=_place(rows[0])) if rows and has_newer else None,
        older=url(after=_place(rows[-1])) if rows and has_older else None,
    )


def _lines(view: View, rows: Sequence[CallRow], filters: Filters) -> list[Line]:
    progress = view.live.progress_of(rows)
    excerpts = _excerpts(view, rows, filters.wanted)
    durations = {row.id: _duration_ms(row, view.now_unix_ms) for row in rows}
    longest = max((ms for ms in durations.values() if ms is not None), default=0.0)
    return [
        Line(
            row=row,
            duration_ms=durations[row.id],
            share=round((durations[row.id] or 0.0) / (longest or 1.0) * 100, 1),
            progress=progress.get(row.id),
            excerpt=excerpts.get(row.id, ()),
        )
        for row in rows
    ]


def _duration_ms(row: CallRow, now_unix_ms: int) -> float | None:
    if row.shown_status == "running":
        return max(0, now_unix_ms - row.started_at_unix_ms)
    return row.duration_ms


def _excerpts(
    view: View, rows: Sequence[CallRow], wanted: CallFilter
) -> dict[int, tuple[str, ...]]:
    """Where the text that is searched for stands, for the rows of which the search tells it."""
    if wanted.text is None or not rows:
        return {}
    hits = search(view.catalog, wanted.text, wanted, limit=4 * ROWS)
    return {hit.call.id: tuple(_split(hit.excerpt)) for hit in reversed(hits)}


def _split(excerpt: str) -> list[str]:
    """Plain text and what was found, in turn, beginning with plain text."""
    return excerpt.replace("\ue001", "\ue000").split("\ue000")


def _place(row: CallRow) -> str:
    return f"{row.started_at_unix_ms}.{row.id}"


def _cursor(place: str | None) -> Cursor | None:
    """A place in the list, as it stands in a URL; None for none, and for what is no place."""
    found = _PLACE.fullmatch(place or "")
    return Cursor(started_at_unix_ms=int(found[1]), id=int(found[2])) if found else None


ROUTES = (Route("/", calls_page),)
