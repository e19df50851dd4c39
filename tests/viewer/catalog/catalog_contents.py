"""What a catalog holds, in forms that tests compare."""

from contextlib import closing
from pathlib import Path
from typing import Any

from viewer.catalog.catalog import Catalog

Row = dict[str, Any]

_ORDERS = {
    "bundles": "name",
    "calls": "bundle, start_offset",
    "names": "name, call",
    "items": "id",
}
_OF_THE_FILE = {"log_inode", "log_ctime_ns"}
"""What differs between two copies of one bundle."""


def refreshed(trace_dir: Path) -> Catalog:
    """The catalog of a directory, up to date; the caller closes it."""
    catalog = Catalog.open(trace_dir)
    catalog.refresh()
    return catalog


def rows(catalog: Catalog, table: str = "calls") -> list[Row]:
    """The rows of a table, in the order in which they came to be."""
    with closing(
        catalog.connection.execute(f"SELECT * FROM {table} ORDER BY {_ORDERS[table]}")
    ) as found:
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]


def calls_by_id(catalog: Catalog) -> dict[str, Row]:
    """The calls, by their own ids."""
    return {row["call_id"]: row for row in rows(catalog)}


def texts(catalog: Catalog) -> list[tuple[str, str, str, str]]:
    """What can be searched: the id of the call that has it, side, label and text."""
    return catalog.connection.execute(
        "SELECT c.call_id, i.side, i.label, texts.text FROM items i JOIN calls c ON c.id = i.call"
        " JOIN texts ON texts.rowid = i.id ORDER BY i.id"
    ).fetchall()


def found(catalog: Catalog, words: str) -> list[str]:
    """The ids of the calls in which words are found."""
    rows = catalog.connection.execute(
        "SELECT c.call_id FROM texts JOIN items i ON i.id = texts.rowid"
        " JOIN calls c ON c.id = i.call WHERE texts MATCH ? ORDER BY i.id",
        (f'"{words}"',),
    )
    return [call for (call,) in rows]


def contents(catalog: Catalog) -> dict[str, list[Row]]:
    """All that was read, without what tells when it was read."""
    held = {table: rows(catalog, table) for table in _ORDERS}
    for row in held["calls"]:
        del row["changed"]
    for row in held["bundles"]:
        for name in _OF_THE_FILE:
            del row[name]
    held["texts"] = [{"text": text} for text in texts(catalog)]
    return held


def assert_whole(catalog: Catalog) -> None:
    """Nothing is left over in one table of what is gone from another."""
    for orphans in (
        "SELECT count(*) FROM items WHERE call NOT IN (SELECT id FROM calls)",
        "SELECT count(*) FROM names WHERE call NOT IN (SELECT id FROM calls)",
        "SELECT count(*) FROM calls WHERE bundle NOT IN (SELECT id FROM bundles)",
        "SELECT count(*) FROM texts WHERE rowid NOT IN (SELECT id FROM items)",
        "SELECT count(*) FROM items WHERE id NOT IN (SELECT rowid FROM texts)",
    ):
        assert catalog.connection.execute(orphans).fetchone() == (0,), orphans
    catalog.connection.execute("INSERT INTO texts (texts) VALUES ('integrity-check')")
