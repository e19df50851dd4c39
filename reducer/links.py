"""Links each call to the one that it continues, and each retry to what it tries again.

It works on facts alone, so that it links the calls of one bundle or of many. A call only ever
continues one that began before it: links make trees, whatever the bundles hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from .attempts import Attempts, Retry
from .call_facts import BundleFacts, CallFacts, CallKey

THREAD_LOOKBACK_MAX = 64
"""How many calls of a thread are looked through for one that had ended: as many may run at once."""

PREWARMS_CHAINED_MAX = 64
"""How many requests without output are followed, one from the other, to a call."""

UNNAMED_THREAD = "thread:"
"""How the ids of threads begin that the recorder made for calls that named none."""


class LinkKind(StrEnum):
    """What says that a call continues another. The values are part of the state."""

    PREVIOUS_RESPONSE_ID = "previous_response_id"
    EXPLICIT = "explicit"
    CALL_ID = "call_id"
    PREFIX = "prefix"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The call that is continued, and what says so."""

    call: CallKey
    by: LinkKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """The links among some calls. `calls` are all of them, in the order in which they began."""

    calls: tuple[CallFacts, ...]
    continues: Mapping[CallKey, Link]
    retries: Mapping[CallKey, Retry]


def link_calls(bundles: Iterable[BundleFacts]) -> Links:
    """Link the calls of some bundles, which may be given in any order.

    A call of which there are two, since a bundle was copied, counts once.
    """
    bundles = list(bundles)
    calls = sorted(_once_each(bundles), key=_order)
    continues: dict[CallKey, Link] = {}
    retries: dict[CallKey, Retry] = {}
    linker, attempts = _Linker(_prewarms_of(bundles), continues), Attempts()
    for call in calls:
        retry = attempts.take(call)
        if retry is None:
            link = linker.link(call)
        else:
            retries[call.key] = retry
            link = continues.get(retry.first)
        if link is not None:
            continues[call.key] = link
        linker.add(call)
    return Links(calls=tuple(calls), continues=continues, retries=retries)


def _once_each(bundles: Iterable[BundleFacts]) -> Iterable[CallFacts]:
    """Each call once; of two that differ, as an older copy's does, one that ended."""
    found: dict[CallKey, CallFacts] = {}
    for bundle in bundles:
        for call in bundle.calls:
            other = found.get(call.key)
            if other is not None and other != call:
                call = max(call, other, key=lambda each: (each.status != "running", repr(each)))
            found[call.key] = call
    return found.values()


def _prewarms_of(bundles: Iterable[BundleFacts]) -> Mapping[str, str | None]:
    pairs = {pair for bundle in bundles for pair in bundle.prewarms.items()}
    return dict(sorted(pairs, key=lambda pair: (pair[0], pair[1] or "")))


def _order(call: CallFacts) -> tuple[int, str, int, str]:
    """The order of beginning: within a bundle that of the events, else that of the clock."""
    return (call.order_unix_ms, call.key.trace_id, call.ordinal, call.key.call_id)


class _Linker:
    """The calls so far, by all that later ones may know them by; each look-up gives the latest."""

    def __init__(self, prewarms: Mapping[str, str | None], links: Mapping[CallKey, Link]) -> None:
        self._prewarms = prewarms
        self._links = links
        self._calls: dict[CallKey, CallFacts] = {}
        self._by_response: dict[tuple[str | None, str], CallFacts] = {}
        self._ends: set[bytes] = set()
        """All that may be found under a prefix of an input; most prefixes are none of them."""
        self._by_end: dict[tuple[bytes, *tuple[object, ...]], CallFacts] = {}
        self._by_request: dict[tuple[str | None, bytes], CallFacts] = {}
        self._by_call_id: dict[tuple[str | None, str], list[CallFacts]] = {}
        self._threads: dict[str, list[CallFacts]] = {}

    def link(self, call: CallFacts) -> Link | None:
        """The call that this one continues, by the best evidence that there is."""
        if call.request.previous_response_id is not None:
            parent = self._of_response(call, call.request.previous_response_id)
            if parent is not None:
                return Link(call=parent.key, by=LinkKind.PREVIOUS_RESPONSE_ID)
            return _linked(self._of_tool_output(call, None), LinkKind.CALL_ID)
        return (
            self._in_thread(call)
            or _linked(self._of_tool_output(call, None), LinkKind.CALL_ID)
            or _linked(self._of_prefix(call, None), LinkKind.PREFIX)
        )

    def add(self, call: CallFacts) -> None:
        """Let later calls continue this one."""
        self._calls[call.key] = call
        self._threads.setdefault(call.thread_id, []).append(call)
        for thread in (None, call.thread_id):
            for response_id in call.response_ids:
                self._by_response[thread, response_id] = call
            for call_id in call.response.call_ids:
                givers = self._by_call_id.setdefault((thread, call_id), [])
                givers[:] = [*givers[-1:], call]
        self._ends.update(call.response.ends)
        for end in call.response.ends:
            for alike in _alike(call):
                self._by_end[end, *alike] = call
        if call.request.end and not call.request.is_only_scene:
            self._ends.add(call.request.end)
            self._by_request[call.thread_id, call.request.end] = call
            if call.thread_id.startswith(UNNAMED_THREAD):
                self._by_request[None, call.request.end] = call

    def _of_response(self, call: CallFacts, response_id: str) -> CallFacts | None:
        """The call whose response this is; a prewarm's stands for what the prewarm continues."""
        if call.known_parent is not None:
            known = self._calls.get(CallKey(call.key.trace_id, call.known_parent))
            if known is not None:
                return known
        following: str | None = response_id
        for _ in range(PREWARMS_CHAINED_MAX):
            if following is None:
                return None
            own = self._by_response.get((call.thread_id, following))
            found = own or self._by_response.get((None, following))
            if found is not None:
                return found
            following = self._prewarms.get(following)
        return None

    def _in_thread(self, call: CallFacts) -> Link | None:
        """The call of the same thread that this one continues."""
        thread, request = call.thread_id, call.request
        if thread not in self._threads:
            return None
        twin = self._by_request.get((thread, request.end))
        if twin is not None:
            # The same asked again is another branch: it continues what the first continued.
            return self._links.get(twin.key)
        parent = (
            self._of_tool_output(call, thread)
            or self._of_prefix(call, thread)
            or self._latest_ended(call)
        )
        return _linked(parent, LinkKind.EXPLICIT)

    def _latest_ended(self, call: CallFacts) -> CallFacts | None:
        """The thread's latest call that had ended, one with output before one without."""
        ended = [
            earlier
            for earlier in reversed(self._threads[call.thread_id][-THREAD_LOOKBACK_MAX:])
            if earlier.ended_at_unix_ms is not None
            and earlier.ended_at_unix_ms <= call.order_unix_ms
        ]
        return next((each for each in ended if each.response.has_output), next(iter(ended), None))

    def _of_tool_output(self, call: CallFacts, thread: str | None) -> CallFacts | None:
        """The call that asked for the tool whose output is new in this request.

        Some servers give each response's tool calls the same ids. An id that several calls gave
        says nothing but together with the conversation before it.
        """
        if not call.request.answers:
            return None
        by_prefix = self._of_prefix(call, thread)
        if by_prefix is not None and set(call.request.answers) & set(by_prefix.response.call_ids):
            return by_prefix
        givers = [self._by_call_id.get((thread, call_id), []) for call_id in call.request.answers]
        sole = [found[0] for found in givers if len(found) == 1]
        return max(sole, key=_order, default=None)

    def _of_prefix(self, call: CallFacts, thread: str | None) -> CallFacts | None:
        """The call whose conversation the input begins with, the longest one first.

        Best is a conversation with what the model said in it. A request alone also counts, in the
        same thread or where no thread is named, if there is more in it than the instructions that
        many conversations begin with.
        """
        request = call.request
        for item_count in range(request.item_count, 0, -1):
            prefix = request.prefix(item_count)
            if prefix not in self._ends:
                continue
            alike = ((thread,),) if thread is not None else _alike(call)[1:]
            for way in alike:
                found = self._by_end.get((prefix, *way))
                if found is not None:
                    return found
            if item_count < request.item_count and (
                thread is not None or call.thread_id.startswith(UNNAMED_THREAD)
            ):
                found = self._by_request.get((thread, prefix))
                if found is not None:
                    return found
        return None


def _alike(call: CallFacts) -> tuple[tuple[object, ...], ...]:
    """What two calls of one conversation have in common: a thread, or all but it, or less."""
    instructions = call.request.instructions
    return ((call.thread_id,), (call.model, instructions), (call.model, None), (None, None))


def _linked(parent: CallFacts | None, by: LinkKind) -> Link | None:
    return None if parent is None else Link(call=parent.key, by=by)
