"""Follows the calls of a trace directory: which ended since one looked, and which run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..catalog.catalog import Catalog, NoTraces
from ..catalog.queries import calls_by_ids, find_calls
from ..catalog.rows import CallFilter, CallRow

RUNNING = CallFilter(statuses=frozenset({"running"}))
RUNNING_MAX = 10_000
"""Calls that are known to run when one begins to follow."""

NEW_MAX = 1000
"""New calls that are read in one look; the next look goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Calls that ended since the last look, and all that run: each in the order of its time."""

    ended: Sequence[CallRow]
    running: Sequence[CallRow]


class Following:
    """Tells of each wanted call once that it ended. One whose recorder died has ended, too."""

    def __init__(self, catalog: Catalog, wanted: CallFilter) -> None:
        self._catalog = catalog
        self._wanted = wanted
        self._version = catalog.version
        self._latest = self._highest()
        self._is_behind = False
        running = find_calls(catalog, RUNNING, limit=RUNNING_MAX)
        self._open = {row.id for row in running}
        """The calls that run, wanted or not: many a filter can only say so when a call ended."""
        self._running = _by_start(self._matching(self._open))

    def last(self, count: int) -> News:
        """Of the last wanted calls those that ended, and all that run."""
        rows = find_calls(self._catalog, self._wanted, limit=count)
        ended = [row for row in reversed(rows) if row.id not in self._open]
        return News(ended=ended, running=self._running)

    def look(self) -> News:
        """Read what came since the last look. Raises NoTraces where there is no room for that."""
        try:
            self._catalog.refresh()
        except NoTraces:
            if self._catalog.trace_dir.is_dir():
                raise
            return News(ended=(), running=())  # it may come again
        if self._catalog.version == self._version and not self._is_behind:
            return News(ended=(), running=self._running)
        self._version = self._catalog.version
        known = self._open | set(self._new())
        rows = calls_by_ids(self._catalog, sorted(known))
        self._open = {row.id for row in rows.values() if _may_end(row)}
        ended = self._matching(row.id for row in rows.values() if row.id not in self._open)
        self._running = _by_start([row for row in self._matching(self._open) if row.is_live])
        return News(ended=sorted(ended, key=_end), running=self._running)

    def _highest(self) -> int:
        sql = "SELECT coalesce(max(id), 0) FROM calls"
        (highest,) = self._catalog.connection.execute(sql).fetchone()
        return int(highest)

    def _new(self) -> list[int]:
        # Somebody deleted the catalog, and it was made anew with what there is.
        self._latest = min(self._latest, self._highest())
        sql = "SELECT id FROM calls WHERE id > ? ORDER BY id LIMIT ?"
        found = self._catalog.connection.execute(sql, (self._latest, NEW_MAX)).fetchall()
        ids = [int(call) for (call,) in found]
        self._latest = max([self._latest, *ids])
        self._is_behind = len(ids) == NEW_MAX
        return ids

    def _matching(self, ids: Iterable[int]) -> list[CallRow]:
        return list(calls_by_ids(self._catalog, list(ids), self._wanted).values())


def _may_end(row: CallRow) -> bool:
    # Of a bundle that Codex wrote, which has no transport, nothing tells whether it is live.
    return row.status == "running" and (row.is_live or not row.transport)


def _by_start(rows: list[CallRow]) -> list[CallRow]:
    return sorted(rows, key=lambda row: (row.started_at_unix_ms, row.id))


def _end(row: CallRow) -> tuple[int, int]:
    return row.ended_at_unix_ms or row.started_at_unix_ms, row.id
