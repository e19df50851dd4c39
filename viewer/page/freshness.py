"""Keeps the catalog up to date while somebody looks, however many look at once."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..call.live import LiveCalls
from ..catalog.catalog import Catalog, NoTraces
from ..catalog.queries import changed_since, find_calls
from ..catalog.rows import CallFilter
from .failures import place_of
from .links import call_key
from .readers import Readers

REFRESH_SECONDS = 0.5
"""From the end of one refresh to the next: what is a second old is live to a person."""

PROGRESS_SECONDS = 1.0
"""How often it is told how far a long refresh has come; what is read by then can be seen."""

PATIENCE_SECONDS = 0.3
"""How long a page waits for a refresh; one that takes longer shows what there is meanwhile."""

CHANGES_NAMED_MAX = 200
"""Calls that an update names; where more changed, everything has."""

RUNNING_FOLLOWED_MAX = 200
"""Running calls whose stream is watched for what came; of more, only the latest."""

DAMAGES_MAX = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a refresh brought. `calls` are their keys; None is: any may have changed."""

    version: int
    calls: frozenset[str] | None


class _Ended(Exception):
    """The page ends, and so does what is being read."""


class Freshness:
    """The one that refreshes. Whoever asks within half a second shares one refresh."""

    def __init__(self, readers: Readers, live: LiveCalls) -> None:
        self._readers = readers
        self._live = live
        self._seen: dict[str, int] = {}
        self._refreshing: asyncio.Task[None] | None = None
        self._ended_at = float("-inf")
        self._is_ended = False
        self._listeners: set[Callable[[Change], None]] = set()
        self._following: asyncio.Task[None] | None = None
        self.version = 0
        self.progress: tuple[int, int] | None = None
        """Bytes read and bytes to read, while a refresh goes on."""
        self.nothing: str | None = None
        """Why there are no traces, where there are none."""
        self.problem: str | None = None
        """Why the last refresh failed."""
        self.damages: tuple[str, ...] = ()
        """What is wrong with bundles, a sentence each; of many, the first."""

    @property
    def is_reading(self) -> bool:
        """Whether there is more in the bundles than is known of them, and that is being read."""
        is_first = self.version == 0 and self.nothing is None and self.problem is None
        return self._refreshing is not None and (self.progress is not None or is_first)

    async def catch_up(self) -> None:
        """Refresh if it is time to, and wait for it a little."""
        task = self._started()
        if task is not None:
            await asyncio.wait({task}, timeout=PATIENCE_SECONDS)

    def listen(self, listener: Callable[[Change], None]) -> None:
        """Refresh from now on and tell the listener of each change, until it is taken off."""
        self._listeners.add(listener)
        if self._following is None:
            self._following = asyncio.create_task(self._follow())

    def unlisten(self, listener: Callable[[Change], None]) -> None:
        """Take a listener off; without any, nothing is refreshed by itself."""
        self._listeners.discard(listener)

    async def close(self) -> None:
        """End what goes on."""
        self._is_ended = True
        tasks = [task for task in (self._following, self._refreshing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        try:
            while self._listeners:
                task = self._started()
                while task is not None and not task.done():
                    await asyncio.wait({task}, timeout=PROGRESS_SECONDS)
                    if self.is_reading:
                        self._tell(Change(version=self.version, calls=frozenset()))
                await asyncio.sleep(REFRESH_SECONDS)
        finally:
            self._following = None

    def _started(self) -> asyncio.Task[None] | None:
        """The refresh that goes on or is due; None where the last one was just now."""
        if self._refreshing is None:
            if self._is_ended or time.monotonic() - self._ended_at < REFRESH_SECONDS:
                return None
            self._refreshing = asyncio.create_task(self._refresh())
        return self._refreshing

    async def _refresh(self) -> None:
        nothing, problem, change = None, None, None
        try:
            change = await self._readers.run(self._read)
        except NoTraces as none:
            nothing = str(none)
        except (OSError, sqlite3.Error) as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - told; the page goes on with what it has
            problem = f"{type(error).__name__}; the log of this process says where"
            _log.error("the traces cannot be indexed: %s", place_of(error))
        finally:
            was_reading = self.is_reading
            self._refreshing = None
            self.progress = None
            self._ended_at = time.monotonic()
        if change is not None:
            self.version = change.version
        if problem is not None and problem != self.problem:
            _log.error("the traces cannot be indexed: %s", problem)
        if nothing != self.nothing or problem != self.problem:
            self.nothing, self.problem = nothing, problem
            change = Change(version=self.version, calls=None)
        if change is None and was_reading:
            change = Change(version=self.version, calls=frozenset())
        if change is not None:
            self._tell(change)

    def _tell(self, change: Change) -> None:
        for listener in list(self._listeners):
            listener(change)

    def _read(self, catalog: Catalog) -> Change | None:
        """In a reader's thread: what changed since the last time, if anything did."""
        catalog.refresh(self._note_progress)
        self.damages = _damages(catalog)
        streaming = self._streaming(catalog)
        if catalog.version == self.version:
            if not streaming:
                return None
            return Change(version=self.version, calls=frozenset(streaming))
        rows = changed_since(catalog, self.version, limit=CHANGES_NAMED_MAX + 1)
        if len(rows) > CHANGES_NAMED_MAX or self.version == 0:
            return Change(version=catalog.version, calls=None)
        named = frozenset(call_key(row) for row in rows) | streaming
        return Change(version=catalog.version, calls=named)

    def _streaming(self, catalog: Catalog) -> set[str]:
        """The running calls of which something came since the last time."""
        running = CallFilter(statuses=frozenset({"running"}))
        before, self._seen = self._seen, {}
        rows = find_calls(catalog, running, limit=RUNNING_FOLLOWED_MAX)
        progress = self._live.progress_of(rows)
        for row in rows:
            if row.id in progress:
                self._seen[call_key(row)] = progress[row.id].bytes_down
        return {key for key, size in self._seen.items() if before.get(key) != size}

    def _note_progress(self, done: int, to_do: int) -> None:
        if self._is_ended:
            raise _Ended
        self.progress = (done, to_do)


def _damages(catalog: Catalog) -> tuple[str, ...]:
    sql = "SELECT name, damage FROM bundles WHERE damage IS NOT NULL ORDER BY id LIMIT ?"
    found = catalog.connection.execute(sql, (DAMAGES_MAX + 1,)).fetchall()
    told = [f"The bundle {name} cannot be read whole: {damage}" for name, damage in found]
    if len(told) > DAMAGES_MAX:
        told[DAMAGES_MAX:] = ["And more bundles cannot; tailrace verify tells of each."]
    return tuple(told)
