"""Earlier calls as the rules of links ask for them, looked up in the catalog."""

import itertools
import sqlite3
from collections.abc import Iterable, Iterator

from reducer.call_facts import CallFacts, CallKey, RequestFacts
from reducer.link_rules import LOOKBACK_MAX, Link, LinkKind, Sign, order_of

from .link_records import FACTS_QUERY, FactsRow, facts_of, sign_hash, unpack_hashes

FACTS_HELD_MAX = 16_384
"""Facts of calls, about 2 KB each. Calls are linked in their order, often to one shortly before."""

PREFIXES_ASKED_MAX = 64
"""In one query: the end of what goes on is most often among the last few."""

_LIGHT = FACTS_QUERY.format(prefixes="x''")
_WHOLE = FACTS_QUERY.format(prefixes="f.prefixes")


class StoredCalls:
    """The facts of calls in a catalog. One for each linking: it holds what it has read."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._facts: dict[int, CallFacts] = {}
        self._ids: dict[CallKey, int] = {}

    def facts(self, call: int) -> CallFacts | None:
        """The facts of a call, without what its input begins with; None where there are none."""
        known = self._facts.get(call)
        if known is not None:
            return known
        row = self.connection.execute(_LIGHT, (call,)).fetchone()
        if row is None:
            return None
        if len(self._facts) >= FACTS_HELD_MAX:
            self._facts.clear()
            self._ids.clear()
        facts = self._facts[call] = facts_of(FactsRow(*row))
        self._ids[facts.key] = call
        return facts

    def whole_facts(self, call: int) -> CallFacts | None:
        """The facts of a call that is to be linked."""
        row = self.connection.execute(_WHOLE, (call,)).fetchone()
        return None if row is None else facts_of(FactsRow(*row))

    def id_of(self, key: CallKey) -> int:
        """The id of a call. Raises KeyError where there is none."""
        known = self._ids.get(key)
        if known is not None:
            return known
        row = self.connection.execute(
            "SELECT f.call FROM bundles b JOIN calls c ON c.bundle = b.id"
            " JOIN link_facts f ON f.call = c.id WHERE b.trace_id = ? AND c.call_id = ?",
            key,
        ).fetchone()
        if row is None:
            raise KeyError(key)
        found = int(row[0])
        self._ids[key] = found
        return found


class CallsBefore:
    """The calls that began before one that is being linked."""

    def __init__(self, stored: StoredCalls, call: CallFacts) -> None:
        self._stored = stored
        self._connection = stored.connection
        self._order = order_of(call)

    def latest(self, sign: Sign) -> CallFacts | None:
        """The latest call that has this sign."""
        return next(self._newest(sign), None)

    def newest(self, sign: Sign) -> Iterable[CallFacts]:
        """The calls that have this sign, the latest first, LOOKBACK_MAX at most."""
        return itertools.islice(self._newest(sign), LOOKBACK_MAX)

    def _newest(self, sign: Sign) -> Iterator[CallFacts]:
        rows = self._connection.execute(
            "SELECT order_unix_ms, call FROM link_signs WHERE sign = ? AND order_unix_ms <= ?"
            " ORDER BY order_unix_ms DESC",
            (sign_hash(sign), self._order[0]),
        )
        for _, at_once in itertools.groupby(rows, key=lambda row: row[0]):
            alike = [self._stored.facts(call) for _, call in at_once]
            before = [each for each in alike if each is not None and self._is_before(each)]
            yield from sorted(before, key=order_of, reverse=True)

    def _is_before(self, call: CallFacts) -> bool:
        return order_of(call) < self._order

    def known_prefixes(self, request: RequestFacts) -> Iterable[int]:
        """The lengths, the longest first, of what may be a call's end."""
        prefixes = unpack_hashes(request.prefixes)
        for stop in range(len(prefixes), 0, -PREFIXES_ASKED_MAX):
            start = max(stop - PREFIXES_ASKED_MAX, 0)
            asked = prefixes[start:stop]
            marks = ",".join("(?)" for _ in asked)
            rows = self._connection.execute(
                f"WITH asked (sign) AS (VALUES {marks}) SELECT sign FROM asked"
                " WHERE EXISTS (SELECT 1 FROM link_signs s WHERE s.sign = asked.sign)",
                asked,
            )
            known = {sign for (sign,) in rows}
            for place in range(stop - 1, start - 1, -1):
                if prefixes[place] in known:
                    yield place + 1

    def known_parent(self, call: CallFacts) -> CallFacts | None:
        """The call of the same bundle that its previous_response_id was found to be of."""
        if call.known_parent is None:
            return None
        try:
            found = self._stored.id_of(CallKey(call.key.trace_id, call.known_parent))
        except KeyError:
            return None
        parent = self._stored.facts(found)
        return parent if parent is not None and self._is_before(parent) else None

    def prewarmed_from(self, response_id: str) -> str | None:
        """The previous_response_id of the prewarm that this response id is of."""
        row = self._connection.execute(
            "SELECT previous_response_id FROM link_prewarms WHERE response_id = ?"
            " ORDER BY coalesce(previous_response_id, '') DESC",
            (response_id,),
        ).fetchone()
        return None if row is None else row[0]

    def link_of(self, call: CallKey) -> Link | None:
        """What an earlier call continues."""
        parent, by = self._connection.execute(
            "SELECT continues, continues_by FROM calls WHERE id = ?", (self._stored.id_of(call),)
        ).fetchone()
        found = None if parent is None else self._stored.facts(parent)
        return None if found is None else Link(call=found.key, by=LinkKind(by))

    def attempt_of(self, call: CallKey) -> tuple[CallKey, int]:
        """The first attempt of an earlier call's request, and which one it is itself, from 1."""
        first, attempt = self._connection.execute(
            "SELECT f.first, c.attempt FROM link_facts f JOIN calls c ON c.id = f.call"
            " WHERE f.call = ?",
            (self._stored.id_of(call),),
        ).fetchone()
        found = None if first is None else self._stored.facts(first)
        return (call, 1) if found is None else (found.key, attempt)

    def is_retried(self, call: CallKey) -> bool:
        """Whether another earlier call tried it again."""
        rows = self._connection.execute(
            "SELECT id FROM calls WHERE retry_of = ?", (self._stored.id_of(call),)
        )
        retries = [self._stored.facts(retry) for (retry,) in rows]
        return any(each is not None and self._is_before(each) for each in retries)
