"""Links the calls of all bundles with each other, by the reducer's rules, as they become known.

What a new call or a late end may change is linked again: after each refresh the links are those
that `reducer.link_bundles` finds in all bundles as they are then.
"""

import heapq
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from reducer.attempts import Retry
from reducer.call_facts import CallFacts
from reducer.link_rules import Link, body_sign, request_sign, wants_of
from reducer.links import place

from .link_facts import LinkFacts, forget_bundle, link_again
from .link_records import pack_hashes, sign_hash, sign_hashes, unpack_hashes
from .stored_calls import CallsBefore, StoredCalls

__all__ = ["LinkFacts", "forget_bundle", "link_new"]


def link_new(connection: sqlite3.Connection, version: int) -> bool:
    """Link what `LinkFacts` noted since the last time; call it when all bundles were read.

    It writes in the caller's transaction, and says whether any link changed: those calls are
    changed by `version`.
    """
    if connection.execute("SELECT 1 FROM link_pending LIMIT 1").fetchone() is None:
        return False
    linking = _Linking(connection, version)
    linking.run()
    return linking.copy() or linking.has_changed


class _Placed(NamedTuple):
    """A call's links as they stand in `calls`, and its first attempt where it is a later one."""

    continues: int | None
    continues_by: str | None
    retry_of: int | None
    attempt: int
    conversation: int
    first: int | None


class _Linking:
    """One run over all that is to be linked, in the order in which the calls began."""

    def __init__(self, connection: sqlite3.Connection, version: int) -> None:
        self.has_changed = False
        self._connection = connection
        self._version = version
        self._stored = StoredCalls(connection)
        self._waiting: list[tuple[int, str, int, int]] = []
        """Calls to link, after what they are ordered by: a heap."""
        self._queued: set[int] = set()
        (linked_until,) = connection.execute(
            "SELECT max(order_unix_ms) FROM link_facts WHERE wants IS NOT NULL"
        ).fetchone()
        self._linked_until: int = -1 if linked_until is None else linked_until
        """When the latest call began that was linked before: what is later concerns no other."""

    def run(self) -> None:
        """Link what waits, and what that changes."""
        self._find_concerned()
        self._push("SELECT call FROM link_pending", ())
        while self._waiting:
            *_, call = heapq.heappop(self._waiting)
            self._queued.discard(call)
            self._link(call)
        self._connection.execute("DELETE FROM link_pending")

    def copy(self) -> bool:
        """Link the calls of copied bundles as those that they are copies of."""
        columns = "continues, continues_by, retry_of, attempt, conversation"
        done = self._connection.execute(
            f"UPDATE calls SET ({columns}, changed) = (SELECT {columns}, ?1 FROM calls original"
            " WHERE original.id = (SELECT original FROM link_copies WHERE call = calls.id))"
            " WHERE id IN (SELECT c.call FROM link_copies c JOIN calls mine ON mine.id = c.call"
            " JOIN calls other ON other.id = c.original WHERE (mine.continues, mine.retry_of,"
            " mine.conversation) IS NOT (other.continues, other.retry_of, other.conversation))",
            (self._version,),
        )
        return done.rowcount > 0

    def _find_concerned(self) -> None:
        """Add the calls, linked before, that may be linked to a changed one that began earlier."""
        rows = self._connection.execute(
            "SELECT f.call, f.order_unix_ms, f.signs FROM link_pending p"
            " JOIN link_facts f ON f.call = p.call WHERE f.order_unix_ms <= ?",
            (self._linked_until,),
        ).fetchall()
        ends: set[int] = set()
        for call, order_unix_ms, packed_signs in rows:
            facts = self._stored.facts(call)
            if facts is None:
                continue
            before, now = unpack_hashes(packed_signs), sign_hashes(facts)
            ends.update(set(before) ^ set(now))
            signs = dict.fromkeys((*before, *now))
            link_again(self._connection, [(sign, order_unix_ms) for sign in signs])
        if ends:
            self._find_beginnings(ends, min(row[1] for row in rows))

    def _find_beginnings(self, ends: set[int], since_unix_ms: int) -> None:
        """Add the calls whose input begins with one of these conversations."""
        rows = self._connection.execute(
            "SELECT call, prefixes FROM link_facts WHERE wants IS NOT NULL AND order_unix_ms >= ?",
            (since_unix_ms,),
        )
        concerned = [
            (call,) for call, prefixes in rows if not ends.isdisjoint(unpack_hashes(prefixes))
        ]
        self._connection.executemany("INSERT OR IGNORE INTO link_pending VALUES (?)", concerned)

    def _push(self, calls: str, parameters: tuple[int | str, ...]) -> None:
        """Have the calls linked that a query selects."""
        rows = self._connection.execute(
            "SELECT f.order_unix_ms, b.trace_id, f.ordinal, f.call FROM link_facts f"
            f" JOIN bundles b ON b.id = f.bundle WHERE f.call IN ({calls})",
            parameters,
        )
        for row in rows:
            if row[-1] not in self._queued:
                self._queued.add(row[-1])
                heapq.heappush(self._waiting, row)

    def _link(self, call: int) -> None:
        facts = self._stored.whole_facts(call)
        if facts is None:
            return
        earlier = CallsBefore(self._stored, facts)
        link, retry = place(facts, earlier)
        wants = dict.fromkeys(map(sign_hash, wants_of(facts, earlier)))
        packed_signs, packed_wants = self._connection.execute(
            "SELECT signs, wants FROM link_facts WHERE call = ?", (call,)
        ).fetchone()
        placed = self._placed(call, link, retry)
        was = self._was_placed(call) if packed_wants is not None else _unplaced(call)
        signs = sign_hashes(facts)
        new_signs, new_wants = pack_hashes(signs), pack_hashes(wants)
        order = facts.order_unix_ms
        self._rewrite("link_signs", call, order, unpack_hashes(packed_signs), signs)
        self._rewrite("link_wants", call, order, unpack_hashes(packed_wants or b""), wants)
        if (packed_signs, packed_wants, was.first) != (new_signs, new_wants, placed.first):
            self._connection.execute(
                "UPDATE link_facts SET signs = ?, wants = ?, first = ? WHERE call = ?",
                (new_signs, new_wants, placed.first, call),
            )
        if placed != was:
            self._write(call, facts, placed, was)

    def _placed(self, call: int, link: Link | None, retry: Retry | None) -> _Placed:
        parent = None if link is None else self._stored.id_of(link.call)
        by = None if link is None else str(link.by)
        if retry is not None:
            first = self._stored.id_of(retry.first)
            of = self._stored.id_of(retry.of)
            return _Placed(parent, by, of, retry.attempt, self._conversation(first), first)
        conversation = call if parent is None else self._conversation(parent)
        return _Placed(parent, by, None, 1, conversation, None)

    def _was_placed(self, call: int) -> _Placed:
        row = self._connection.execute(
            "SELECT c.continues, c.continues_by, c.retry_of, c.attempt, c.conversation, f.first"
            " FROM calls c JOIN link_facts f ON f.call = c.id WHERE c.id = ?",
            (call,),
        ).fetchone()
        return _Placed(*row)

    def _conversation(self, call: int) -> int:
        (conversation,) = self._connection.execute(
            "SELECT conversation FROM calls WHERE id = ?", (call,)
        ).fetchone()
        return int(conversation)

    def _write(self, call: int, facts: CallFacts, placed: _Placed, was: _Placed) -> None:
        self.has_changed = True
        self._connection.execute(
            "UPDATE calls SET continues = ?, continues_by = ?, retry_of = ?, attempt = ?,"
            " conversation = ?, changed = ? WHERE id = ?",
            (*placed[:5], self._version, call),
        )
        order = facts.order_unix_ms
        if order > self._linked_until:
            return
        self._push(
            "SELECT id FROM calls WHERE continues = ?1"
            " UNION SELECT id FROM calls WHERE retry_of = ?1",
            (call,),
        )
        if facts.request.end:
            twins = sign_hash(request_sign(facts.thread_id, facts.request.end))
            self._push_later("link_signs", twins, call, facts)
        for retried in {placed.retry_of, was.retry_of} if placed.retry_of != was.retry_of else ():
            # Each is retried once: others that would try it again have it now, or no more.
            before = None if retried is None else self._stored.facts(retried)
            if before is not None and before.attempt.body is not None:
                sign = sign_hash(body_sign(before.attempt.body))
                self._push_later("link_wants", sign, call, facts)

    def _push_later(self, table: str, sign: int, call: int, facts: CallFacts) -> None:
        """Have the calls linked that have or look for a sign, and began later than a call."""
        self._push(
            f"SELECT o.call FROM {table} s JOIN link_facts o ON o.call = s.call"
            " JOIN bundles ob ON ob.id = o.bundle WHERE s.sign = ? AND s.order_unix_ms >= ?"
            " AND o.wants IS NOT NULL AND o.call <> ?"
            " AND (o.order_unix_ms, ob.trace_id, o.ordinal) > (?, ?, ?)",
            (
                sign,
                facts.order_unix_ms,
                call,
                facts.order_unix_ms,
                facts.key.trace_id,
                facts.ordinal,
            ),
        )

    def _rewrite(
        self, table: str, call: int, order: int, was: Iterable[int], now: Iterable[int]
    ) -> None:
        was, now = set(was), set(now)
        if gone := was - now:
            self._connection.executemany(
                f"DELETE FROM {table} WHERE sign = ? AND order_unix_ms = ? AND call = ?",
                [(sign, order, call) for sign in gone],
            )
        if new := now - was:
            self._connection.executemany(
                f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)",
                [(sign, order, call) for sign in new],
            )


def _unplaced(call: int) -> _Placed:
    return _Placed(None, None, None, 1, call, None)
