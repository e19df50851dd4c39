"""The calls so far, held in memory by all that later ones may know them by."""

from collections.abc import Iterable, Mapping

from .attempts import Retry
from .call_facts import CallFacts, CallKey, RequestFacts
from .link_rules import LOOKBACK_MAX, Link, Sign, ends_of, signs_of

_MANY = frozenset({"thread", "tool", "body"})
"""The kinds of signs of which more than the latest call is asked for."""


class CallsInMemory:
    """Earlier calls, as the rules ask for them. They are added in the order of their beginning."""

    def __init__(self, prewarms: Mapping[str, str | None]) -> None:
        self.links: dict[CallKey, Link] = {}
        self.retries: dict[CallKey, Retry] = {}
        self._prewarms = prewarms
        self._calls: dict[CallKey, CallFacts] = {}
        self._one: dict[Sign, CallFacts] = {}
        self._many: dict[Sign, list[CallFacts]] = {}
        self._ends: set[bytes] = set()
        """All that may be found under a prefix of an input; most prefixes are none of them."""
        self._retried: set[CallKey] = set()

    def add(self, call: CallFacts, link: Link | None, retry: Retry | None) -> None:
        """Let later calls be linked to this one."""
        self._calls[call.key] = call
        if link is not None:
            self.links[call.key] = link
        if retry is not None:
            self.retries[call.key] = retry
            self._retried.add(retry.of)
        self._ends.update(ends_of(call))
        for sign in signs_of(call):
            if sign[0] in _MANY:
                alike = self._many.setdefault(sign, [])
                alike.append(call)
                del alike[:-LOOKBACK_MAX]
            else:
                self._one[sign] = call

    def latest(self, sign: Sign) -> CallFacts | None:
        """The latest call that has this sign."""
        if sign[0] in _MANY:
            return next(iter(self.newest(sign)), None)
        return self._one.get(sign)

    def newest(self, sign: Sign) -> Iterable[CallFacts]:
        """The calls that have this sign, the latest first, LOOKBACK_MAX at most."""
        return reversed(self._many.get(sign, ()))

    def known_prefixes(self, request: RequestFacts) -> Iterable[int]:
        """The lengths, the longest first, of what is a call's end."""
        for item_count in range(request.item_count, 0, -1):
            if request.prefix(item_count) in self._ends:
                yield item_count

    def known_parent(self, call: CallFacts) -> CallFacts | None:
        """The call of the same bundle that its previous_response_id was found to be of."""
        return self._calls.get(CallKey(call.key.trace_id, call.known_parent or ""))

    def prewarmed_from(self, response_id: str) -> str | None:
        """The previous_response_id of the prewarm that this response id is of."""
        return self._prewarms.get(response_id)

    def link_of(self, call: CallKey) -> Link | None:
        """What an earlier call continues."""
        return self.links.get(call)

    def attempt_of(self, call: CallKey) -> tuple[CallKey, int]:
        """The first attempt of an earlier call's request, and which one it is itself, from 1."""
        retry = self.retries.get(call)
        return (call, 1) if retry is None else (retry.first, retry.attempt)

    def is_retried(self, call: CallKey) -> bool:
        """Whether another earlier call tried it again."""
        return call in self._retried
