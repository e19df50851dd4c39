"""The rules by which a call is linked to the one that it continues.

They know the earlier calls by look-ups alone, so that these may stand in memory or in a database.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from .call_facts import CallFacts, CallKey, RequestFacts

LOOKBACK_MAX = 64
"""Of calls that are alike, how many are looked at: of a thread, as many may run at once; of one
body, the latest failures are the ones that are tried again."""

PREWARMS_CHAINED_MAX = 64
"""How many requests without output are followed, one from the other, to a call."""

UNNAMED_THREAD = "thread:"
"""How the ids of threads begin that the recorder made for calls that named none."""

Sign = tuple[str | bytes | None, ...]
"""Something that a call is known by; its first element says what kind of thing."""


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


class EarlierCalls(Protocol):
    """The calls that began before the one that is being linked, and how they are linked."""

    def latest(self, sign: Sign) -> CallFacts | None:
        """The latest call that has this sign."""

    def newest(self, sign: Sign) -> Iterable[CallFacts]:
        """The calls that have this sign, the latest first, LOOKBACK_MAX at most."""

    def known_prefixes(self, request: RequestFacts) -> Iterable[int]:
        """The lengths in items, the longest first, of what the input begins with.

        All prefixes are given that any call may have as an end, and perhaps others.
        """

    def known_parent(self, call: CallFacts) -> CallFacts | None:
        """The call of the same bundle that its previous_response_id was found to be of."""

    def prewarmed_from(self, response_id: str) -> str | None:
        """The previous_response_id of the prewarm that this response id is of."""

    def link_of(self, call: CallKey) -> Link | None:
        """What an earlier call continues."""

    def attempt_of(self, call: CallKey) -> tuple[CallKey, int]:
        """The first attempt of an earlier call's request, and which one it is itself, from 1."""

    def is_retried(self, call: CallKey) -> bool:
        """Whether another earlier call tried it again."""


def order_of(call: CallFacts) -> tuple[int, str, int, str]:
    """The order of beginning: within a bundle that of the events, else that of the clock."""
    return (call.order_unix_ms, call.key.trace_id, call.ordinal, call.key.call_id)


def ends_of(call: CallFacts) -> tuple[bytes, ...]:
    """The hashes of conversations, one of which a later input may begin with."""
    request = call.request
    own = (request.end,) if request.end and not request.is_only_scene else ()
    return (*own, *call.response.ends)


def signs_of(call: CallFacts) -> Iterator[Sign]:
    """All that later calls may know a call by."""
    yield thread_sign(call.thread_id)
    for thread in (None, call.thread_id):
        for response_id in call.response_ids:
            yield response_sign(thread, response_id)
        for call_id in call.response.call_ids:
            yield tool_sign(thread, call_id)
    for end in call.response.ends:
        for likeness in _likenesses(call):
            yield _end_sign(end, likeness)
    if call.request.end and not call.request.is_only_scene:
        yield request_sign(call.thread_id, call.request.end)
        if call.thread_id.startswith(UNNAMED_THREAD):
            yield request_sign(None, call.request.end)
    if call.attempt.client_call_id:
        yield client_call_sign(call.attempt.client_call_id)
    if call.attempt.body is not None and call.status != "completed":
        yield body_sign(call.attempt.body)


def wants_of(call: CallFacts, earlier: EarlierCalls) -> Iterator[Sign]:
    """The signs of earlier calls that bear on how a call is linked, those of ends aside.

    Where another call gets or loses one of these, the call may be linked otherwise.
    """
    yield thread_sign(call.thread_id)
    for response_id in _response_ids_named(call, earlier):
        yield response_sign(None, response_id)
    for call_id in call.request.answers:
        yield tool_sign(None, call_id)
    if call.attempt.client_call_id:
        yield client_call_sign(call.attempt.client_call_id)
    if call.attempt.body is not None:
        yield body_sign(call.attempt.body)


def thread_sign(thread_id: str) -> Sign:
    """The calls of a thread."""
    return ("thread", thread_id)


def response_sign(thread_id: str | None, response_id: str) -> Sign:
    """The calls, of a thread or of any, that a response is of."""
    return ("response", thread_id, response_id)


def tool_sign(thread_id: str | None, call_id: str) -> Sign:
    """The calls, of a thread or of any, that gave a tool call this id."""
    return ("tool", thread_id, call_id)


def request_sign(thread_id: str | None, end: bytes) -> Sign:
    """The calls, of a thread or of all unnamed ones, that were shown this conversation."""
    return ("request", thread_id, end)


def client_call_sign(client_call_id: str) -> Sign:
    """The calls that the client gave this id."""
    return ("client_call", client_call_id)


def body_sign(body: tuple[str, str]) -> Sign:
    """The calls with this body that did not complete."""
    return ("body", *body)


def find_link(call: CallFacts, earlier: EarlierCalls) -> Link | None:
    """The call that this one continues, by the best evidence that there is."""
    if call.request.previous_response_id is not None:
        parent = _of_response(call, earlier)
        if parent is not None:
            return Link(call=parent.key, by=LinkKind.PREVIOUS_RESPONSE_ID)
        return _linked(_of_tool_output(call, None, earlier), LinkKind.CALL_ID)
    return (
        _in_thread(call, earlier)
        or _linked(_of_tool_output(call, None, earlier), LinkKind.CALL_ID)
        or _linked(_of_prefix(call, None, earlier), LinkKind.PREFIX)
    )


def _of_response(call: CallFacts, earlier: EarlierCalls) -> CallFacts | None:
    """The call whose response this is; a prewarm's stands for what the prewarm continues."""
    if call.known_parent is not None:
        known = earlier.known_parent(call)
        if known is not None:
            return known
    for response_id in _response_ids_named(call, earlier):
        own = earlier.latest(response_sign(call.thread_id, response_id))
        found = own or earlier.latest(response_sign(None, response_id))
        if found is not None:
            return found
    return None


def _response_ids_named(call: CallFacts, earlier: EarlierCalls) -> Iterator[str]:
    """The response that a request names and, through prewarms, those that these name."""
    following = call.request.previous_response_id
    for _ in range(PREWARMS_CHAINED_MAX):
        if following is None:
            return
        yield following
        following = earlier.prewarmed_from(following)


def _in_thread(call: CallFacts, earlier: EarlierCalls) -> Link | None:
    """The call of the same thread that this one continues."""
    thread, request = call.thread_id, call.request
    if earlier.latest(thread_sign(thread)) is None:
        return None
    twin = earlier.latest(request_sign(thread, request.end)) if request.end else None
    if twin is not None:
        # The same asked again is another branch: it continues what the first continued.
        return earlier.link_of(twin.key)
    parent = (
        _of_tool_output(call, thread, earlier)
        or _of_prefix(call, thread, earlier)
        or _latest_ended(call, earlier)
    )
    return _linked(parent, LinkKind.EXPLICIT)


def _latest_ended(call: CallFacts, earlier: EarlierCalls) -> CallFacts | None:
    """The thread's latest call that had ended, one with output before one without."""
    latest: CallFacts | None = None
    for each in earlier.newest(thread_sign(call.thread_id)):
        ended_at = each.ended_at_unix_ms
        if ended_at is None or ended_at > call.order_unix_ms:
            continue
        if each.response.has_output:
            return each
        latest = latest or each
    return latest


def _of_tool_output(call: CallFacts, thread: str | None, earlier: EarlierCalls) -> CallFacts | None:
    """The call that asked for the tool whose output is new in this request.

    Some servers give each response's tool calls the same ids. An id that several calls gave
    says nothing but together with the conversation before it.
    """
    if not call.request.answers:
        return None
    by_prefix = _of_prefix(call, thread, earlier)
    if by_prefix is not None and set(call.request.answers) & set(by_prefix.response.call_ids):
        return by_prefix
    sole = []
    for call_id in call.request.answers:
        givers = iter(earlier.newest(tool_sign(thread, call_id)))
        giver = next(givers, None)
        if giver is not None and next(givers, None) is None:
            sole.append(giver)
    return max(sole, key=order_of, default=None)


def _of_prefix(call: CallFacts, thread: str | None, earlier: EarlierCalls) -> CallFacts | None:
    """The call whose conversation the input begins with, the longest one first.

    Best is a conversation with what the model said in it. A request alone also counts, in the
    same thread or where no thread is named, if there is more in it than the instructions that
    many conversations begin with.
    """
    request = call.request
    likenesses = ((thread,),) if thread is not None else _likenesses(call)[1:]
    may_be_request = thread is not None or call.thread_id.startswith(UNNAMED_THREAD)
    for item_count in earlier.known_prefixes(request):
        prefix = request.prefix(item_count)
        for likeness in likenesses:
            found = earlier.latest(_end_sign(prefix, likeness))
            if found is not None:
                return found
        if may_be_request and item_count < request.item_count:
            found = earlier.latest(request_sign(thread, prefix))
            if found is not None:
                return found
    return None


def _likenesses(call: CallFacts) -> tuple[Sign, ...]:
    """What two calls of one conversation have in common: a thread, or all but it, or less."""
    instructions = call.request.instructions
    return ((call.thread_id,), (call.model, instructions), (call.model, None), (None, None))


def _end_sign(end: bytes, likeness: Sign) -> Sign:
    return ("end", end, *likeness)


def _linked(parent: CallFacts | None, by: LinkKind) -> Link | None:
    return None if parent is None else Link(call=parent.key, by=by)
