"""Keeps what tells which call each call continues, while the bundles' events are read in order."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from reducer.call_facts import read_request, read_response
from reducer.fields import text_of
from reducer.item_key import is_reference, item_key
from reducer.link_rules import response_sign
from reducer.shared_json import SharedObject
from tracing.bundle_reader import RawEvent

from .link_records import (
    begun_record,
    ended_record,
    merged,
    packed,
    response_record,
    sign_hash,
    text_hash,
    unpack_hashes,
)

SHARED_CHARS_MAX = 8 * 1024 * 1024
"""Of requests' items that are held with their keys, so that what a request repeats costs nothing.
Beyond it they are forgotten."""


class LinkFacts:
    """Keeps the facts of one bundle's calls. What it writes is in the caller's transaction.

    Facts are those of `reducer.call_facts.FactsCollector`; what that remembers of the events before
    stands in the catalog, so that a bundle can be read in steps.
    """

    def __init__(self, connection: sqlite3.Connection, *, bundle: int) -> None:
        self._connection = connection
        self._bundle = bundle
        ordinal, order_unix_ms = connection.execute(
            "SELECT max(ordinal), max(order_unix_ms) FROM link_facts WHERE bundle = ?", (bundle,)
        ).fetchone()
        self._ordinal: int = -1 if ordinal is None else ordinal
        self._order_unix_ms: int = order_unix_ms or 0
        self._copied = self._bundles_alike()
        self._keys: dict[int, tuple[SharedObject, bytes | None]] = {}
        """Objects that requests share, by their identity, each with its key."""
        self._shared_chars = 0

    def note_request(self, call: int, event: RawEvent, body: Mapping[str, object] | None) -> None:
        """Note that a call began. `body` is its request, None where that could not be read."""
        if self._note_copy(call, event):
            return
        parent_id, before, request = None, b"", None
        if body is not None:
            previous_response_id = text_of(body, "previous_response_id")
            if previous_response_id is not None:
                thread_id = text_of(event.payload, "thread_id") or ""
                parent_id, before = self._parent(previous_response_id, thread_id)
            request = read_request(body, before=before, key_of=self._key)
        self._ordinal += 1
        self._order_unix_ms = max(self._order_unix_ms, event.wall_time_unix_ms)
        self._connection.execute(
            "INSERT OR REPLACE INTO link_facts"
            " (call, bundle, ordinal, order_unix_ms, begun, prefixes, signs)"
            " VALUES (?, ?, ?, ?, ?, ?, x'')",
            (
                *(call, self._bundle, self._ordinal, self._order_unix_ms),
                packed(begun_record(event, request, parent_id)),
                b"" if request is None else request.prefixes,
            ),
        )
        self.note_end(call)

    def note_response(self, call: int, event: RawEvent, body: Mapping[str, object] | None) -> None:
        """Note that a call ended. `body` is its response, whole or partial, None where not read."""
        call = self._original(call)
        row = self._connection.execute(
            "SELECT begun, ended FROM link_facts WHERE call = ?", (call,)
        ).fetchone()
        if row is None:
            return
        begun, known = orjson.loads(row[0]), {} if row[1] is None else orjson.loads(row[1])
        conversation = None
        ended = ended_record(event, body, known)
        if body is not None and "response" not in known:
            end = bytes.fromhex(begun["request"][1]) if begun["request"] else b""
            response = read_response(body, after=end)
            ended["response"] = response_record(response.facts)
            conversation = response.conversation
            self._connection.executemany(
                "INSERT OR REPLACE INTO link_said (bundle, item, key) VALUES (?, ?, ?)",
                [(self._bundle, text_hash(item), key) for item, key in response.said.items()],
            )
        self._connection.execute(
            "UPDATE link_facts SET ended = ?, conversation = coalesce(conversation, ?)"
            " WHERE call = ?",
            (packed(ended), conversation, call),
        )
        self._remember_response(call, ended["response_id"])
        self._remember_response(call, merged(begun["proxy"], ended["proxy"]).get("response_id"))
        self.note_end(call)

    def note_end(self, call: int) -> None:
        """Note that a call's status changed, so that it has to be linked, or linked again."""
        self._connection.execute("INSERT OR IGNORE INTO link_pending VALUES (?)", (call,))

    def note_prewarm(self, value: Mapping[str, object]) -> None:
        """Note a request that asked for no output: calls may name its response."""
        response_id = text_of(value, "response_id")
        if response_id is None:
            return
        self._connection.execute(
            "INSERT OR REPLACE INTO link_prewarms VALUES (?, ?, ?)",
            (response_id, self._bundle, text_of(value, "previous_response_id")),
        )
        link_again(self._connection, [(sign_hash(response_sign(None, response_id)), 0)])

    def _parent(self, response_id: str, thread_id: str) -> tuple[str | None, bytes]:
        """The bundle's call that a response is of, as `reducer.chain` finds it, and its end.

        One of the same thread whose response completed comes first, as Codex finds it.
        """
        rows = self._connection.execute(
            "SELECT c.call_id, c.thread_id, f.ended, f.conversation FROM link_responses r"
            " JOIN calls c ON c.id = r.call JOIN link_facts f ON f.call = r.call"
            " WHERE r.bundle = ? AND r.response = ? ORDER BY r.place",
            (self._bundle, text_hash(response_id)),
        ).fetchall()
        same_thread = [row for row in rows if row[1] == thread_id]
        known = [row for row in same_thread if _response_id(row[2]) == response_id]
        if known:
            found = min(known, key=lambda row: row[0])
        elif rows:
            found = (same_thread or rows)[-1]
        else:
            return None, b""
        return found[0], found[3] or b""

    def _remember_response(self, call: int, response_id: object) -> None:
        if not isinstance(response_id, str):
            return
        response = text_hash(response_id)
        known = self._connection.execute(
            "SELECT call FROM link_responses WHERE bundle = ? AND response = ?",
            (self._bundle, response),
        ).fetchall()
        if (call,) not in known:
            self._connection.execute(
                "INSERT INTO link_responses VALUES (?, ?, ?, ?)",
                (self._bundle, response, len(known), call),
            )

    def _key(self, item: object) -> bytes | None:
        """The key of an item; that of another one where it only points to it."""
        if isinstance(item, dict) and is_reference(item):
            row = self._connection.execute(
                "SELECT key FROM link_said WHERE bundle = ? AND item = ?",
                (self._bundle, text_hash(text_of(item, "id") or "")),
            ).fetchone()
            return item_key(item) if row is None else row[0]
        if type(item) is not SharedObject:
            return item_key(item)
        if id(item) not in self._keys:
            self._shared_chars += len(item.text)
            if self._shared_chars > SHARED_CHARS_MAX:
                self._keys.clear()
                self._shared_chars = len(item.text)
            self._keys[id(item)] = (item, item_key(item))
        return self._keys[id(item)][1]

    def _bundles_alike(self) -> list[int]:
        """Other bundles with the same trace id, of which this one is a copy."""
        rows = self._connection.execute(
            "SELECT other.id FROM bundles mine JOIN bundles other"
            " ON other.trace_id = mine.trace_id AND other.id <> mine.id"
            " WHERE mine.id = ? AND mine.trace_id <> ''",
            (self._bundle,),
        )
        return [other for (other,) in rows]

    def _note_copy(self, call: int, event: RawEvent) -> bool:
        for other in self._copied:
            row = self._connection.execute(
                "SELECT f.call FROM calls c JOIN link_facts f ON f.call = c.id"
                " WHERE c.bundle = ? AND c.call_id = ?",
                (other, event.payload.get("inference_call_id")),
            ).fetchone()
            if row is not None:
                self._connection.execute(
                    "INSERT OR REPLACE INTO link_copies VALUES (?, ?)", (call, row[0])
                )
                return True
        return False

    def _original(self, call: int) -> int:
        if not self._copied:
            return call
        row = self._connection.execute(
            "SELECT original FROM link_copies WHERE call = ?", (call,)
        ).fetchone()
        return call if row is None else int(row[0])


def link_again(connection: sqlite3.Connection, changed: Iterable[tuple[int, int]]) -> None:
    """Have all calls linked again that look for one of some signs: pairs of a hash and a time.

    Only calls that began at the time or later can be concerned.
    """
    connection.executemany(
        "INSERT OR IGNORE INTO link_pending"
        " SELECT call FROM link_wants WHERE sign = ? AND order_unix_ms >= ?",
        changed,
    )


def forget_bundle(connection: sqlite3.Connection, bundle: int) -> None:
    """Forget a bundle's calls, before their rows are removed; what was linked to them is again."""
    rows = connection.execute(
        "SELECT call, order_unix_ms, signs, wants FROM link_facts WHERE bundle = ?", (bundle,)
    ).fetchall()
    for call, order_unix_ms, signs, wants in rows:
        for table, data in (("link_signs", signs), ("link_wants", wants or b"")):
            connection.executemany(
                f"DELETE FROM {table} WHERE sign = ? AND order_unix_ms = ? AND call = ?",
                [(sign, order_unix_ms, call) for sign in unpack_hashes(data)],
            )
        link_again(connection, [(sign, order_unix_ms) for sign in unpack_hashes(signs)])
    retried = connection.execute(
        "SELECT f.signs, f.order_unix_ms FROM calls c JOIN link_facts f ON f.call = c.retry_of"
        " WHERE c.bundle = ?",
        (bundle,),
    ).fetchall()
    for signs, order_unix_ms in retried:
        link_again(connection, [(sign, order_unix_ms) for sign in unpack_hashes(signs)])
    prewarms = connection.execute(
        "SELECT response_id FROM link_prewarms WHERE bundle = ?", (bundle,)
    ).fetchall()
    link_again(connection, [(sign_hash(response_sign(None, each)), 0) for (each,) in prewarms])
    connection.execute(
        "INSERT OR IGNORE INTO link_pending SELECT c.id FROM calls c JOIN link_facts f"
        " ON f.call = c.id WHERE c.continues IN (SELECT call FROM link_facts WHERE bundle = ?1)"
        " OR c.retry_of IN (SELECT call FROM link_facts WHERE bundle = ?1)",
        (bundle,),
    )
    of_bundle = "(SELECT id FROM calls WHERE bundle = ?)"
    connection.execute(
        "UPDATE calls SET continues = NULL, continues_by = NULL, retry_of = NULL, attempt = 1,"
        " conversation = id WHERE id IN (SELECT call FROM link_copies WHERE original IN"
        f" {of_bundle})",
        (bundle,),
    )
    for removed in (
        f"link_copies WHERE original IN {of_bundle}",
        f"link_copies WHERE call IN {of_bundle}",
        f"link_pending WHERE call IN {of_bundle}",
        "link_facts WHERE bundle = ?",
        "link_responses WHERE bundle = ?",
        "link_said WHERE bundle = ?",
        "link_prewarms WHERE bundle = ?",
    ):
        connection.execute(f"DELETE FROM {removed}", (bundle,))


def _response_id(ended: bytes | None) -> Any:
    return None if ended is None else orjson.loads(ended)["response_id"]
