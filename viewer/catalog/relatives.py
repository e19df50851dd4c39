"""The calls next to one: what it continues, what continues it, and the attempts it is one of."""

from dataclasses import dataclass

from .call_rows import CALLS, COLUMNS, call_row
from .catalog import Catalog
from .rows import CallRow

CONTINUING_MAX = 20
ATTEMPTS_MAX = 50
"""In either direction; a client gives up long before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relatives:
    """`attempts` are all of one logical request, the call itself among them; one is none.

    `continuing` are the first of those that went on from it, `continuing_count` all of them.
    """

    before: CallRow | None
    continuing: tuple[CallRow, ...]
    continuing_count: int
    attempts: tuple[CallRow, ...]


def relatives(catalog: Catalog, row: CallRow) -> Relatives:
    """Look up the calls next to this one."""
    condition = "c.conversation = ? AND c.continues = ?"
    query = f"SELECT count(*) FROM {CALLS} WHERE {condition}"
    ((count,),) = catalog.connection.execute(query, (row.conversation, row.id)).fetchall()
    continuing = _calls(
        catalog,
        f"{condition} ORDER BY c.started_at_unix_ms, c.id LIMIT {CONTINUING_MAX}",
        row.conversation,
        row.id,
    )
    return Relatives(
        before=None if row.continues is None else _call(catalog, row.continues),
        continuing=tuple(continuing),
        continuing_count=count,
        attempts=tuple(_attempts(catalog, row)),
    )


def _attempts(catalog: Catalog, row: CallRow) -> list[CallRow]:
    found = [row]
    while len(found) < ATTEMPTS_MAX and found[0].retry_of is not None:
        earlier = _call(catalog, found[0].retry_of)
        if earlier is None:
            break
        found.insert(0, earlier)
    for _ in range(ATTEMPTS_MAX):
        condition = "c.conversation = ? AND c.retry_of = ? ORDER BY c.id LIMIT 1"
        later = _calls(catalog, condition, row.conversation, found[-1].id)
        if not later:
            break
        found += later
    return found if len(found) > 1 else []


def _call(catalog: Catalog, id_: int) -> CallRow | None:
    return next(iter(_calls(catalog, "c.id = ?", id_)), None)


def _calls(catalog: Catalog, condition: str, *parameters: object) -> list[CallRow]:
    sql = f"SELECT {COLUMNS} FROM {CALLS} WHERE {condition}"
    found = catalog.connection.execute(sql, parameters).fetchall()
    return [call_row(values, catalog.trace_dir) for values in found]
