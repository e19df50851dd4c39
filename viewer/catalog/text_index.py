"""Puts what can be searched for into the catalog: each distinct item of a bundle once."""

import hashlib
import sqlite3
from collections.abc import Mapping

from reducer.fields import object_of, text_of
from reducer.shared_json import SharedObject

from .item_texts import INDEXED_CHARS_MAX, clean, done_in, label_of, partial_in, text_of_item

DIGEST_BYTES = 16

IS_NEW = object()
_IS_INDEXED = object()
"""What is noted on an object that requests share: its text needs a look, or no second one."""


class NewTexts:
    """Texts that wait to be written together, right before a transaction ends.

    FTS5 writes all that it holds back whenever another statement needs a savepoint.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.chars = 0
        self._connection = connection
        self._waiting: list[tuple[int, str]] = []
        (last_id,) = connection.execute("SELECT coalesce(max(id), 0) FROM items").fetchone()
        self.next_id: int = last_id + 1

    def add(self, text: str) -> None:
        """Add a text, which gets the next id."""
        self._waiting.append((self.next_id, text))
        self.next_id += 1
        self.chars += len(text)

    def write(self) -> None:
        """Write all that waits."""
        self._connection.executemany("INSERT INTO texts (rowid, text) VALUES (?, ?)", self._waiting)
        self._waiting.clear()
        self.chars = 0


class TextIndex:
    """The texts of one bundle. Of what is in several calls, the one that is read first has it.

    Items are told apart by what is searched in them: an answer that the client sends back is the
    same item, however it is written now.
    """

    def __init__(self, connection: sqlite3.Connection, bundle: int, texts: NewTexts) -> None:
        self._connection = connection
        self._bundle = bundle
        self._texts = texts

    def add_request(self, call: int, request: Mapping[str, object]) -> None:
        """Index what is new in a request."""
        instructions = text_of(request, "instructions")
        if instructions:
            self._add(call, "request", "instructions", _bounded(instructions))
        asked = request.get("input")
        if isinstance(asked, str):
            self._add(call, "request", "user", _bounded(asked))
        for item in asked if isinstance(asked, list) else ():
            if type(item) is SharedObject:
                if item.reading is _IS_INDEXED:
                    continue
                item.reading = _IS_INDEXED
            self._add(call, "request", label_of(item), text_of_item(item))

    def add_response(self, call: int, response: Mapping[str, object]) -> None:
        """Index what came: items that were done or in progress, and the body of an HTTP error."""
        for item in done_in(response):
            self._add(call, "response", label_of(item), text_of_item(item))
        for item in partial_in(response):
            self._add(call, "response", label_of(item), text_of_item(item))
        body = object_of(response, "proxy").get("body")
        if body is not None:
            self._add(call, "response", "error", text_of_item(body))

    def add_error(self, call: int, text: str) -> None:
        """Index why a call failed."""
        self._add(call, "response", "error", _bounded(text))

    def _add(self, call: int, side: str, label: str, text: str) -> None:
        if not text or text.isspace():
            return
        told_apart = f"{label}\0{text}".encode(errors="replace")
        digest = hashlib.blake2b(told_apart, digest_size=DIGEST_BYTES).digest()
        added = self._connection.execute(
            "INSERT OR IGNORE INTO items (id, bundle, digest, call, side, label)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (self._texts.next_id, self._bundle, digest, call, side, label),
        )
        if added.rowcount == 1:
            self._texts.add(text)


def _bounded(text: str) -> str:
    return clean(text[:INDEXED_CHARS_MAX])
