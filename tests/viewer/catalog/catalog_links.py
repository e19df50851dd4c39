"""The links that a catalog holds, in a form that can be compared with the reducer's."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from reducer import Conversations, link_bundles
from viewer.catalog.catalog import Catalog

Call = tuple[str, str]


class Linked(NamedTuple):
    """What a call is linked to; calls are named by trace and call id."""

    continues: Call | None
    by: str | None
    retry_of: Call | None
    attempt: int
    root: Call


def links_in(catalog: Catalog, *, kind: str = "%") -> dict[Call, Linked]:
    """The links that the catalog holds, of calls of one kind if told."""
    rows = catalog.connection.execute(
        "SELECT c.id, b.trace_id, c.call_id, c.continues, c.continues_by, c.retry_of, c.attempt,"
        " c.conversation FROM calls c JOIN bundles b ON b.id = c.bundle WHERE c.kind LIKE ?",
        (kind,),
    ).fetchall()
    keys: dict[int | None, Call] = {row[0]: (row[1], row[2]) for row in rows}
    return {
        keys[call]: Linked(keys.get(continues), by, keys.get(retry_of), attempt, keys[conversation])
        for call, _, _, continues, by, retry_of, attempt, conversation in rows
    }


def links_of(bundles: Iterable[Path]) -> dict[Call, Linked]:
    """The links that the reducer finds, with all calls in memory."""
    links = link_bundles(bundles)
    conversations = Conversations(links)
    found: dict[Call, Linked] = {}
    for call in links.calls:
        link, retry = links.continues.get(call.key), links.retries.get(call.key)
        root = conversations.of(call.key).root
        found[call.key] = Linked(
            None if link is None else link.call,
            None if link is None else str(link.by),
            None if retry is None else retry.of,
            1 if retry is None else retry.attempt,
            root,
        )
    return found
