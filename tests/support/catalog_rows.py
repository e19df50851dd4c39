"""Writes a catalog's rows by hand, so that what asks it is tested without bundles."""

import json
from dataclasses import fields
from pathlib import Path

from viewer.catalog.catalog import Catalog
from viewer.catalog.database import make_anew
from viewer.catalog.place import Place
from viewer.catalog.rows import CallRow, Timing, Usage

_NOTHING: dict[str, object] = {"INTEGER": 0, "TEXT": "", "BLOB": b""}
_OF_BUNDLES = {"bundle", "trace_id", "is_live"}
"""What a row of a call takes from its bundle's."""


class CatalogRows:
    """A catalog in the making, of a directory that holds no bundle."""

    def __init__(self, trace_dir: Path) -> None:
        place = Place(directory=trace_dir)
        make_anew(place.file).close()
        # Opened as everybody does, but that is refused where no bundle is.
        (trace_dir / "trace-0").mkdir()
        (trace_dir / "trace-0" / "trace.jsonl").touch()
        self.catalog = Catalog.open(trace_dir)
        self._trace_dir = trace_dir
        self._texts = 0

    def add(self, *rows: CallRow) -> None:
        """Add calls, which keep their ids, and the names that a selector may give."""
        for row in rows:
            values = {
                "bundle": self._bundle(row),
                "changed": 1,
                "tools": json.dumps(row.tools),
                **{
                    field.name: getattr(row, field.name)
                    for field in fields(row)
                    if field.name not in {"timing", "usage", "tools", *_OF_BUNDLES}
                },
                **{f"{field.name}_ms": getattr(row.timing, field.name) for field in fields(Timing)},
            }
            if row.usage is not None:
                values |= {field.name: getattr(row.usage, field.name) for field in fields(Usage)}
            self._insert("calls", values)
            ids = (row.call_id, row.response_id, row.upstream_request_id, row.client_call_id)
            for name in dict.fromkeys(filter(None, ids)):
                self._insert("names", {"name": name, "reversed": name[::-1], "call": row.id})

    def add_text(self, call: int, text: str, *, side: str = "request", label: str = "user") -> int:
        """Add a text that a call showed first; give its id."""
        self._texts += 1
        values = {"id": self._texts, "bundle": 1, "digest": b"%d" % self._texts, "call": call}
        self._insert("items", {**values, "side": side, "label": label})
        self._insert("texts", {"rowid": self._texts, "text": text})
        return self._texts

    def _bundle(self, row: CallRow) -> int:
        find = "SELECT id FROM bundles WHERE name = ?"
        found = self.catalog.connection.execute(find, (row.bundle.name,)).fetchone()
        if found is None:
            columns = self.catalog.connection.execute("PRAGMA table_info(bundles)").fetchall()
            values = {name: _NOTHING[kind] for _, name, kind, *_, key in columns if not key}
            values |= {"name": row.bundle.name, "trace_id": row.trace_id, "damage": None}
            self._insert("bundles", values | {"is_live": row.is_live})
            found = self.catalog.connection.execute(find, (row.bundle.name,)).fetchone()
        (bundle,) = found
        assert isinstance(bundle, int)
        return bundle

    def _insert(self, table: str, values: dict[str, object]) -> None:
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"
        self.catalog.connection.execute(sql, tuple(values.values()))
