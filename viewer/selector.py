"""Finds the call or thread that a person names by an id, a part of one, or `last`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .catalog.catalog import Catalog
from .catalog.conditions import LAST_CHARACTER, bindable
from .catalog.queries import calls_by_ids, find_calls
from .catalog.rows import CallFilter, CallRow

LAST = "last"
MATCHES_NAMED_MAX = 5

_PARTLY = "name >= :first AND name < :beyond"
_PARTLY_REVERSED = "reversed >= :first_reversed AND reversed < :beyond_reversed"
_CALLS_OF = {
    "exact": "SELECT call FROM names WHERE name = :name",
    "part": (
        f"SELECT call FROM names WHERE {_PARTLY}"
        f" UNION SELECT call FROM names WHERE {_PARTLY_REVERSED}"
    ),
}
# There is no index of threads' ends: that of their ids is gone through instead.
_THREADS_OF = {
    "exact": "thread_id = :name",
    "part": "(thread_id >= :first AND thread_id < :beyond) OR substr(thread_id, -:length) = :name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a selector can name: a call, or a thread where no call is named."""

    bundle: Path
    thread_id: str
    call_id: str | None = None

    def __str__(self) -> str:
        """For a message about several of them."""
        what = f"thread {self.thread_id}" if self.call_id is None else f"call {self.call_id}"
        return f"{what} in {self.bundle}"


class NoSuchSelection(Exception):
    """Nothing goes by the selector, or more than one thing does; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What goes by a selector: calls by their ids in the catalog, newest first, and threads."""

    calls: Sequence[int]
    threads: Sequence[Target]

    def __len__(self) -> int:
        return len(self.calls) + len(self.threads)


def select(selector: str, catalog: Catalog) -> Target:
    """The one call or thread that an id names, whole or by its beginning or end; or the latest
    call. Raises NoSuchSelection.

    A thread that was made for a call has the call's id in its own: the call is meant.
    """
    found = _the_one(selector, catalog)
    return _target(found) if isinstance(found, CallRow) else found


def select_call(selector: str, catalog: Catalog) -> CallRow:
    """The same, where only a call will do. Raises NoSuchSelection."""
    found = _the_one(selector, catalog)
    if isinstance(found, CallRow):
        return found
    raise NoSuchSelection(
        f"{selector!r} is a thread, and a call is needed; its calls are listed by"
        f" `tailrace ls --thread {found.thread_id}`"
    )


def thread_named(selector: str, catalog: Catalog) -> str:
    """The id of the one thread that it names, whole or by its beginning or end.

    Raises NoSuchSelection.
    """
    for how in ("exact", "part"):
        sql = f"SELECT DISTINCT thread_id FROM calls WHERE {_THREADS_OF[how]} ORDER BY thread_id"
        ids = [name for (name,) in catalog.connection.execute(sql, _parameters(selector))]
        if selector and len(ids) == 1:
            return str(ids[0])
        if selector and ids:
            raise NoSuchSelection(
                f"{selector!r} names {len(ids)} threads: {_listed(ids)}. Give more of the id"
            )
    raise NoSuchSelection(
        f"no thread in {catalog.trace_dir} has an id that is, begins or ends with {selector!r}"
    )


def _the_one(selector: str, catalog: Catalog) -> CallRow | Target:
    if selector == LAST:
        latest = find_calls(catalog, CallFilter(), limit=1)
        if not latest:
            raise NoSuchSelection(f"there is no call yet in {catalog.trace_dir}")
        return latest[0]
    found = _Found(calls=(), threads=())
    if selector:
        found = _find("exact", selector, catalog) or _find("part", selector, catalog)
    if not found:
        raise NoSuchSelection(
            f"no call, response, request or thread in {catalog.trace_dir} has an id that is,"
            f" begins or ends with {selector!r}; `tailrace ls` lists the calls"
        )
    if found.threads and len(found) == 1:
        return found.threads[0]
    named = calls_by_ids(catalog, found.calls[:MATCHES_NAMED_MAX])
    calls = [named[call] for call in found.calls[:MATCHES_NAMED_MAX]]
    # A bundle may be there twice: any of its copies will do.
    if len(found) == len(calls) and len({(row.trace_id, row.call_id) for row in calls}) == 1:
        return calls[0]
    raise NoSuchSelection(_several(selector, found, calls))


def _find(how: str, selector: str, catalog: Catalog) -> _Found:
    parameters = _parameters(selector)
    calls = catalog.connection.execute(
        f"SELECT id FROM calls WHERE id IN ({_CALLS_OF[how]})"
        " ORDER BY started_at_unix_ms DESC, id DESC",
        parameters,
    ).fetchall()
    threads = catalog.connection.execute(
        "SELECT b.name, t.thread_id FROM ("
        f" SELECT bundle, thread_id FROM calls WHERE {_THREADS_OF[how]}"
        f" EXCEPT SELECT bundle, thread_id FROM calls WHERE id IN ({_CALLS_OF[how]})"
        ") t JOIN bundles b ON b.id = t.bundle ORDER BY b.name, t.thread_id",
        parameters,
    ).fetchall()
    return _Found(
        calls=[call for (call,) in calls],
        threads=[
            Target(bundle=catalog.trace_dir / name, thread_id=thread_id)
            for name, thread_id in threads
        ],
    )


def _parameters(selector: str) -> dict[str, object]:
    name = bindable(selector)
    return {
        "name": name,
        "length": len(name),
        "first": name,
        "beyond": name + LAST_CHARACTER,
        "first_reversed": name[::-1],
        "beyond_reversed": name[::-1] + LAST_CHARACTER,
    }


def _target(row: CallRow) -> Target:
    return Target(bundle=row.bundle, thread_id=row.thread_id, call_id=row.call_id)


def _several(selector: str, found: _Found, calls: Sequence[CallRow]) -> str:
    """Says between what there is to choose, and how. `calls` are the first of those found."""
    if calls and not found.threads and _is_one_clients(selector, calls):
        attempts = _listed([f"{row.call_id} ({row.status})" for row in calls], len(found))
        return (
            f"{selector!r} is the client's id of {len(found)} attempts: {attempts}."
            " Name one of them"
        )
    targets = [*map(_target, calls), *found.threads]
    ids = {target.call_id or target.thread_id for target in targets}
    advice = "Give more of the id" if len(ids) > 1 else "Only their bundles tell them apart"
    listed = _listed([str(target) for target in targets], len(found))
    return f"{selector!r} names {len(found)}: {listed}. {advice}"


def _is_one_clients(selector: str, calls: Sequence[CallRow]) -> bool:
    """Whether a client that tried again named all of these calls alike."""
    ids = {row.client_call_id for row in calls}
    name = calls[0].client_call_id
    return len(ids) == 1 and name is not None and (selector in name)


def _listed(names: Sequence[str], total: int | None = None) -> str:
    """The first of them, and how many more there are."""
    named = names[:MATCHES_NAMED_MAX]
    more = (len(names) if total is None else total) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")
