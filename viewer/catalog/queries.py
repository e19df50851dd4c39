"""Asks the catalog for calls: lists, single ones, texts, and what a page shows over time."""

from collections.abc import Sequence
from typing import Any

from .call_rows import CALLS, COLUMN_COUNT, COLUMNS, SHOWN_STATUS, call_row
from .catalog import Catalog
from .conditions import bindable, conditions_of, words_expression
from .model_stats import stats
from .rows import STATUSES, CallFilter, CallRow, Cursor, Hit, StripPoint

__all__ = [
    "branched",
    "call_before",
    "call_by_id",
    "call_by_key",
    "calls_by_ids",
    "changed_since",
    "count_by_status",
    "count_calls",
    "find_calls",
    "models",
    "search",
    "stats",
    "strip",
]

EXCERPT_WORDS = 24
EXCERPT_CHARACTERS_MAX = 400
"""A word may be as long as an image in base64."""
MARKS = ("\ue000", "\ue001")
"""What stands around the words found in an excerpt."""

_IDS_AT_ONCE = 500
"""SQLite takes a bounded number of parameters: 999 in its older versions."""
_NEWEST_FIRST = "ORDER BY c.started_at_unix_ms DESC, c.id DESC"
_OLDEST_FIRST = "ORDER BY c.started_at_unix_ms, c.id"


def find_calls(
    catalog: Catalog,
    wanted: CallFilter,
    *,
    limit: int,
    after: Cursor | None = None,
    before: Cursor | None = None,
) -> list[CallRow]:
    """The newest calls that are wanted, newest first; behind `after` where that is given.

    With `before` they are those right before that place in this order: the next newer ones.
    """
    conditions = conditions_of(wanted, after=after, before=before)
    order = _OLDEST_FIRST if before is not None and after is None else _NEWEST_FIRST
    sql = f"SELECT {COLUMNS} FROM {CALLS} WHERE {conditions.sql} {order} LIMIT ?"
    found = _calls(catalog, sql, *conditions.parameters, limit)
    return found[::-1] if order == _OLDEST_FIRST else found


def count_calls(catalog: Catalog, wanted: CallFilter) -> int:
    """How many calls are wanted."""
    conditions = conditions_of(wanted)
    sql = f"SELECT count(*) FROM calls c WHERE {conditions.sql}"
    (count,) = catalog.connection.execute(sql, conditions.parameters).fetchone()
    assert isinstance(count, int)
    return count


def count_by_status(catalog: Catalog, wanted: CallFilter) -> dict[str, int]:
    """How many calls are wanted of each status that any has, lost ones apart from running ones."""
    conditions = conditions_of(wanted)
    # A row of counts: to group would sort all calls.
    counts = ", ".join("count(*) FILTER (WHERE shown = ?)" for _ in STATUSES)
    shown = f"SELECT {SHOWN_STATUS} AS shown FROM calls c WHERE {conditions.sql}"
    found = catalog.connection.execute(
        f"SELECT {counts} FROM ({shown})", (*STATUSES, *conditions.parameters)
    ).fetchone()
    return {status: count for status, count in zip(STATUSES, found, strict=True) if count}


def call_by_id(catalog: Catalog, id: int) -> CallRow | None:  # noqa: A002 (the rows' own word)
    """A call by its id within the catalog."""
    return calls_by_ids(catalog, [id]).get(id)


def call_before(catalog: Catalog, row: CallRow) -> CallRow | None:
    """The call that a call continues."""
    return None if row.continues is None else call_by_id(catalog, row.continues)


def call_by_key(catalog: Catalog, trace_id: str, call_id: str) -> CallRow | None:
    """A call by what names it for good. A bundle may be there twice; the later copy is meant."""
    sql = f"SELECT {COLUMNS} FROM {CALLS} WHERE b.trace_id = ? AND c.call_id = ? ORDER BY c.id DESC"
    names = (bindable(trace_id), bindable(call_id))
    return next(iter(_calls(catalog, sql, *names)), None)


def calls_by_ids(
    catalog: Catalog, ids: Sequence[int], wanted: CallFilter | None = None
) -> dict[int, CallRow]:
    """Calls by their ids within the catalog; without those that are not there, or not wanted."""
    conditions = conditions_of(wanted or CallFilter())
    rows: dict[int, CallRow] = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT {COLUMNS} FROM {CALLS} WHERE c.id IN ({marks}) AND {conditions.sql}"
        rows |= {row.id: row for row in _calls(catalog, sql, *some, *conditions.parameters)}
    return rows


def branched(catalog: Catalog, rows: Sequence[CallRow]) -> frozenset[int]:
    """Which of these calls continue one that another call continues as well, by `id`.

    The attempts of one request are no branches.
    """
    continued = sorted({row.continues for row in rows if row.continues is not None})
    forks: set[int] = set()
    for start in range(0, len(continued), _IDS_AT_ONCE):
        some = continued[start : start + _IDS_AT_ONCE]
        found = catalog.connection.execute(
            f"SELECT continues FROM calls WHERE continues IN ({', '.join('?' * len(some))})"
            " AND retry_of IS NULL GROUP BY continues HAVING count(*) > 1",
            some,
        )
        forks |= {call for (call,) in found}
    return frozenset(row.id for row in rows if row.continues in forks)


def changed_since(catalog: Catalog, version: int, *, limit: int) -> list[CallRow]:
    """The calls that later refreshes wrote, those of earlier refreshes first."""
    sql = f"SELECT {COLUMNS} FROM {CALLS} WHERE c.changed > ? ORDER BY c.changed, c.id LIMIT ?"
    return _calls(catalog, sql, version, limit)


def search(
    catalog: Catalog, text: str, wanted: CallFilter, *, limit: int, after: int | None = None
) -> list[Hit]:
    """Where the words of `text` stand in this order, what was seen last first.

    The last word may be only begun. A text without any word is found nowhere. `after` is the
    `id` of a hit to go on behind.
    """
    words = words_expression(text)
    if words is None:
        return []
    conditions = conditions_of(wanted)
    if after is not None:
        conditions.add("texts.rowid < ?", after)
    sql = (
        f"SELECT {COLUMNS}, i.id, i.side, i.label, snippet(texts, 0, ?, ?, '…', ?) FROM texts"
        f" CROSS JOIN items i ON i.id = texts.rowid CROSS JOIN calls c ON c.id = i.call"
        f" JOIN bundles b ON b.id = c.bundle WHERE texts MATCH ? AND {conditions.sql}"
        " ORDER BY texts.rowid DESC LIMIT ?"
    )
    parameters = (*MARKS, EXCERPT_WORDS, words, *conditions.parameters, limit)
    found = catalog.connection.execute(sql, parameters)
    return [_hit(values, catalog) for values in found]


def _hit(values: tuple[Any, ...], catalog: Catalog) -> Hit:
    call = call_row(values[:COLUMN_COUNT], catalog.trace_dir)
    text_id, side, label, excerpt = values[COLUMN_COUNT:]
    return Hit(id=text_id, call=call, side=side, label=label, excerpt=_shortened(excerpt))


def _shortened(excerpt: str) -> str:
    """An excerpt of bounded length, in which what was found begins in the first third."""
    if len(excerpt) <= EXCERPT_CHARACTERS_MAX:
        return excerpt
    opening, closing = MARKS
    start = max(excerpt.find(opening) - EXCERPT_CHARACTERS_MAX // 3, 0)
    part = excerpt[start : start + EXCERPT_CHARACTERS_MAX]
    if part.rfind(opening) > part.rfind(closing):
        part += closing
    return f"{'…' * bool(start)}{part}…"


def strip(catalog: Catalog, wanted: CallFilter, *, limit: int) -> list[StripPoint]:
    """The newest calls that are wanted, newest first, as points in time."""
    conditions = conditions_of(wanted)
    sql = (
        "SELECT c.id, b.trace_id, c.call_id, c.started_at_unix_ms, c.ended_ms, c.model,"
        f" {SHOWN_STATUS} FROM {CALLS} WHERE {conditions.sql} {_NEWEST_FIRST} LIMIT ?"
    )
    return [
        StripPoint(
            id=call,
            trace_id=trace_id,
            call_id=call_id,
            started_at_unix_ms=started,
            duration_ms=ended,
            status=status,
            model=model,
        )
        for call, trace_id, call_id, started, ended, model, status in catalog.connection.execute(
            sql, (*conditions.parameters, limit)
        )
    ]


def models(catalog: Catalog) -> list[str]:
    """Every model that was called, by name."""
    # Sorted here: SQLite would sort all calls.
    found = catalog.connection.execute("SELECT DISTINCT model FROM calls").fetchall()
    return sorted(model for (model,) in found)


def _calls(catalog: Catalog, sql: str, *parameters: object) -> list[CallRow]:
    # Fetched whole: a statement that is left open would hold off the writer's checkpoints.
    found = catalog.connection.execute(sql, parameters).fetchall()
    return [call_row(values, catalog.trace_dir) for values in found]
