"""Finds the call or thread that a person names by an id, a part of one, or `last`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .catalog.catalog import Catalog
from .catalog.conditions import LAST_CHARACTER, bindable
from .catalog.queries import calls_by_ids, find_calls
from .catalog.rows import CallFilter, CallRow
from .figures import moment

LAST = "last"
MATCHES_NAMED_MAX = 10

MORE_OF_THE_ID = "Give more of the id, or its end; `tailrace ls` lists the calls."

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


class NoSuchSelection(Exception):
    """Nothing goes by the selector, or more than one thing does; the message says what to do.

    It has several lines where there is something to choose from. Ids in it are not escaped.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


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
            several = f"{selector!r} names {len(ids):,} threads in {catalog.trace_dir}:"
            raise NoSuchSelection(several, *_first(list(map(str, ids)), len(ids)), MORE_OF_THE_ID)
    raise NoSuchSelection(
        f"no thread in {catalog.trace_dir} has an id that is, begins or ends with {selector!r};"
        " `tailrace show CALL` tells that of a call"
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
    raise _several(selector, catalog, found, calls)


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


def _several(
    selector: str, catalog: Catalog, found: _Found, calls: Sequence[CallRow]
) -> NoSuchSelection:
    """Says between what there is to choose, and how. `calls` are the first of those found."""
    ids = {*(row.call_id for row in calls), *(thread.thread_id for thread in found.threads)}
    if calls and not found.threads and _is_one_clients(selector, calls):
        what = f"is the client's id of {len(found):,} attempts"
        advice = "Name one of them by its own id."
    else:
        what, advice = f"names {_counted(found)} in {catalog.trace_dir}", MORE_OF_THE_ID
    if len(ids) == 1:
        advice = (
            "Only their bundles tell them apart: put one of these into a directory of its own, and"
            " name that by --trace-dir."
        )
    are_told_by_id = len(ids) == len(calls) + len(found.threads)
    listed = [_call_words(row, with_bundle=not are_told_by_id) for row in calls]
    listed += [_thread_words(thread, with_bundle=not are_told_by_id) for thread in found.threads]
    return NoSuchSelection(f"{selector!r} {what}:", *_first(listed, len(found)), advice)


def _counted(found: _Found) -> str:
    return " and ".join(
        f"{count:,} {noun if count == 1 else f'{noun}s'}"
        for count, noun in ((len(found.calls), "call"), (len(found.threads), "thread"))
        if count
    )


def _call_words(row: CallRow, *, with_bundle: bool) -> str:
    words = [f"call {row.call_id}", moment(row.started_at_unix_ms), row.shown_status, row.model]
    return "  ".join([*words, *([f"in {row.bundle}"] if with_bundle else [])])


def _thread_words(thread: Target, *, with_bundle: bool) -> str:
    return f"thread {thread.thread_id}{f'  in {thread.bundle}' if with_bundle else ''}"


def _is_one_clients(selector: str, calls: Sequence[CallRow]) -> bool:
    """Whether a client that tried again named all of these calls alike."""
    ids = {row.client_call_id for row in calls}
    name = calls[0].client_call_id
    return len(ids) == 1 and name is not None and (selector in name)


def _first(things: Sequence[str], total: int) -> Iterator[str]:
    """A line for each of the first, and one for how many more there are."""
    named = things[:MATCHES_NAMED_MAX]
    yield from (f"  {thing}" for thing in named)
    if total > len(named):
        yield f"  and {total - len(named):,} more"
