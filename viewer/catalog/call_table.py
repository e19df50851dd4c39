"""Writes the rows of calls, and the names that they go by."""

import sqlite3
from collections.abc import Mapping

from .call_record import CHANGED_BY_END, Columns, Value
from .rows import CallKind

_NAMED_BY = ("call_id", "response_id", "upstream_request_id", "client_call_id")
_FOR_END = ("id", "end_offset", "started_at_unix_ms", *CHANGED_BY_END)
_FIND = f"SELECT {', '.join(_FOR_END)} FROM calls WHERE bundle = ? AND call_id = ? AND kind = ?"


class CallTable:
    """The calls of one bundle."""

    def __init__(self, connection: sqlite3.Connection, bundle: int) -> None:
        self._connection = connection
        self._bundle = bundle
        (self._last_id,) = connection.execute(
            "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'calls'"
        ).fetchone()

    def find(self, kind: CallKind, call_id: str) -> dict[str, Value] | None:
        """The id of a call and the columns that its end changes; None where it never began."""
        row = self._connection.execute(_FIND, (self._bundle, call_id, kind)).fetchone()
        return None if row is None else dict(zip(_FOR_END, row, strict=True))

    def add(self, version: int, columns: Columns) -> int:
        """Add a call that continues none, and give its id: no call before it had the same."""
        self._last_id += 1
        call: int = self._last_id
        row = {
            **columns,
            "id": call,
            "bundle": self._bundle,
            "changed": version,
            "attempt": 1,
            "conversation": call,
        }
        marks = ", ".join("?" * len(row))
        self._connection.execute(
            f"INSERT INTO calls ({', '.join(row)}) VALUES ({marks})",
            tuple(row.values()),
        )
        self._name(call, row)
        return call

    def update(self, version: int, call: int, columns: Columns) -> None:
        """Change some columns of a call."""
        changed = {**columns, "changed": version}
        settings = ", ".join(f"{name} = ?" for name in changed)
        self._connection.execute(
            f"UPDATE calls SET {settings} WHERE id = ?",
            (*changed.values(), call),
        )
        self._name(call, columns)

    def end_turn(self, version: int, turn_id: str, status: str, at_unix_ms: int) -> list[int]:
        """End the calls that still run in a turn, and give their ids."""
        ended = self._connection.execute(
            "UPDATE calls SET status = ?, ended_at_unix_ms = ?, changed = ?"
            " WHERE bundle = ? AND turn_id = ? AND status = 'running' AND kind = ? RETURNING id",
            (status, at_unix_ms, version, self._bundle, turn_id, CallKind.INFERENCE),
        )
        return [call for (call,) in ended]

    def touch_running(self, version: int) -> None:
        """Let the calls that run count as changed: whether they are lost has."""
        self._connection.execute(
            "UPDATE calls SET changed = ? WHERE bundle = ? AND status = 'running'",
            (version, self._bundle),
        )

    def _name(self, call: int, columns: Mapping[str, Value]) -> None:
        for column in _NAMED_BY:
            name = columns.get(column)
            if isinstance(name, str) and name:
                self._connection.execute(
                    "INSERT OR IGNORE INTO names (name, reversed, call) VALUES (?, ?, ?)",
                    (name, name[::-1], call),
                )
