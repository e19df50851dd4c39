"""What of each call tells which call it continues: gathered while a bundle is folded.

Inputs are remembered as hashes of their prefixes, a few bytes an item, so that bundles can be
linked with each other when they are no longer in memory.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .exact_json import canonical
from .fields import list_of, object_of, text_of
from .item_key import (
    is_of_model,
    is_output,
    is_reference,
    item_key,
    opens_a_conversation,
    text_key,
)
from .records import Call
from .shared_json import SharedObject

PREFIX_BYTES = 8
"""Of a prefix's hash. Among a million prefixes two are taken for one with a chance of 1 in 10^7."""


class CallKey(NamedTuple):
    """A call among those of several bundles."""

    trace_id: str
    call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFacts:
    """What a request tells of the call that it continues.

    `prefixes` holds a hash for each beginning of an input that is sent whole, the shortest first,
    and `end` that of the whole conversation, as far as it is known. `answers` are the tool calls
    whose outputs are new: those that stand after the last item of the model.
    """

    previous_response_id: str | None = None
    prefixes: bytes = b""
    end: bytes = b""
    is_only_scene: bool = False
    """Whether all of it is instructions, with which many conversations may begin."""
    answers: tuple[str, ...] = ()
    instructions: bytes = b""

    @property
    def item_count(self) -> int:
        """How many items an input has that is sent whole, those aside that are passed over."""
        return len(self.prefixes) // PREFIX_BYTES

    def prefix(self, item_count: int) -> bytes:
        """The hash of the input's first items."""
        return self.prefixes[(item_count - 1) * PREFIX_BYTES : item_count * PREFIX_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseFacts:
    """What a response tells of the calls that continue it.

    `ends` are the hashes of the conversation after it, as an input would have it: with what was
    said to its end, and with what was in progress too.
    """

    ends: tuple[bytes, ...] = ()
    call_ids: tuple[str, ...] = ()
    has_output: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFacts:
    """What tells whether a call tries again what another one tried."""

    retry_count: int
    body: tuple[str, str] | None
    """The hash of the request's bytes, and the path; None where the hash is not known."""
    client_call_id: str | None
    http_status: int | None
    protocol: str | None
    """The protocol's last word, as the recorder puts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """One call. `ordinal` counts the calls of its bundle, in the order of the events.

    `order_unix_ms` is its start, but never before that of a call that stands earlier in the bundle.
    """

    key: CallKey
    thread_id: str
    model: str
    order_unix_ms: int
    ordinal: int
    ended_at_unix_ms: int | None
    status: str
    response_ids: tuple[str, ...]
    known_parent: str | None
    """The call of the same bundle that its previous_response_id was found to be of."""
    request: RequestFacts
    response: ResponseFacts
    attempt: AttemptFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFacts:
    """The calls of one bundle, and the requests without output that calls may chain through."""

    calls: tuple[CallFacts, ...]
    prewarms: Mapping[str, str | None] = field(default_factory=dict)
    """The previous_response_id of each prewarm, by its own response id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResponse:
    """A response's facts, and what later requests of its bundle are read with.

    `conversation` is the hash of the conversation as one goes on that names the response, `said`
    the keys of the items that the model said, by their ids: requests may point to them.
    """

    facts: ResponseFacts
    conversation: bytes
    said: Mapping[str, bytes | None]


def read_request(
    body: Mapping[str, object], *, before: bytes, key_of: Callable[[object], bytes | None]
) -> RequestFacts:
    """Read what a request tells. `before` is the conversation that the response it names left.

    It is empty where none is named, or it is not known.
    """
    keys, answers, is_only_scene = _read_input(body.get("input"), key_of)
    previous_response_id = text_of(body, "previous_response_id")
    is_lost = "lost" in object_of(body, "proxy")
    is_whole = previous_response_id is None and not body.get("conversation") and not is_lost
    before = b"" if is_whole else before
    prefixes = list(_prefixes(keys, before)) if is_whole or before else []
    return RequestFacts(
        previous_response_id=previous_response_id,
        prefixes=b"".join(prefixes) if is_whole else b"",
        end=prefixes[-1] if prefixes else before,
        is_only_scene=is_whole and is_only_scene,
        answers=answers,
        instructions=_hash(canonical(body.get("instructions")).encode("utf-8", "surrogatepass")),
    )


def read_response(body: Mapping[str, object], *, after: bytes) -> ReadResponse:
    """Read what a response tells. `after` is the end of the request's conversation, if known."""
    done = list_of(body, "output_items") or []
    partial = list_of(object_of(body, "proxy"), "partial_items") or []
    begun = [item["item"] for item in partial if isinstance(item, dict) and "item" in item]
    ends: list[bytes] = []
    conversation = after
    for items in (done, begun):
        keys = [key for item in items if (key := item_key(item)) is not None]
        if keys and after:
            after = list(_prefixes(keys, after))[-1]
            ends.append(after)
        if items is done:
            conversation = after
    facts = ResponseFacts(
        ends=tuple(ends),
        call_ids=tuple(dict.fromkeys(_call_ids(done))),
        has_output=bool(done or begun),
    )
    said = {
        item_id: item_key(item)
        for item in done
        if isinstance(item, dict) and (item_id := text_of(item, "id"))
    }
    return ReadResponse(facts=facts, conversation=conversation, said=said)


def _read_input(
    value: object, key_of: Callable[[object], bytes | None]
) -> tuple[list[bytes], tuple[str, ...], bool]:
    """The keys of the items, the tool calls newly answered, and whether nobody said a thing."""
    if isinstance(value, str):
        return [text_key(value)], (), False
    keys: list[bytes] = []
    answers: list[str] = []
    is_only_scene = True
    for item in value if isinstance(value, list) else ():
        key = key_of(item)
        if key is None:
            continue
        keys.append(key)
        is_only_scene = is_only_scene and opens_a_conversation(item)
        if is_output(item):
            answers += _call_ids([item])
        elif is_of_model(item):
            answers.clear()
    return keys, tuple(dict.fromkeys(answers)), is_only_scene


class FactsCollector:
    """Collects the facts of a bundle's calls, in the order of the events."""

    def __init__(self) -> None:
        self._requests: dict[str, RequestFacts] = {}
        self._responses: dict[str, ResponseFacts] = {}
        self._parents: dict[str, str] = {}
        self._conversations: dict[str, bytes] = {}
        """The hash of the conversation after each call, as one goes on that names its response."""
        self._said: dict[str, bytes | None] = {}
        """The keys of the items that the model said, by their ids: requests may point to them."""
        self._shared: dict[int, tuple[SharedObject, bytes | None]] = {}
        """Objects that requests share, by their identity, each with its key."""

    def note_request(self, call_id: str, body: Mapping[str, object]) -> None:
        """Note what a call's request holds, after `note_parent` has told which call it names."""
        before = self._conversations.get(self._parents.get(call_id, ""), b"")
        self._requests[call_id] = read_request(body, before=before, key_of=self._key)

    def note_response(self, call_id: str, body: Mapping[str, object]) -> None:
        """Note what the response to a call holds; what an earlier terminal told stays."""
        if call_id in self._responses:
            return
        after = self._requests.get(call_id, RequestFacts()).end
        response = read_response(body, after=after)
        self._responses[call_id] = response.facts
        self._conversations[call_id] = response.conversation
        self._said.update(response.said)

    def note_parent(self, call_id: str, parent: str) -> None:
        """Note which call of the bundle a previous_response_id is of."""
        self._parents[call_id] = parent

    def facts(
        self, trace_id: str, calls: Iterable[Call], prewarms: Mapping[str, str | None]
    ) -> BundleFacts:
        """The facts of the bundle's calls, given as they began, once all events were folded."""
        found = []
        order_unix_ms = 0
        for ordinal, call in enumerate(calls):
            order_unix_ms = max(order_unix_ms, call.execution.started_at_unix_ms)
            key = CallKey(trace_id, call.inference_call_id)
            found.append(self._call_facts(key, call, order_unix_ms, ordinal))
        return BundleFacts(calls=tuple(found), prewarms=prewarms)

    def _call_facts(self, key: CallKey, call: Call, order_unix_ms: int, ordinal: int) -> CallFacts:
        response_ids = (call.response_id, text_of(call.proxy, "response_id"))
        return CallFacts(
            key=key,
            thread_id=call.thread_id,
            model=call.model,
            order_unix_ms=order_unix_ms,
            ordinal=ordinal,
            ended_at_unix_ms=call.execution.ended_at_unix_ms,
            status=call.execution.status,
            response_ids=tuple(dict.fromkeys(each for each in response_ids if each)),
            known_parent=self._parents.get(key.call_id),
            request=self._requests.get(key.call_id, RequestFacts()),
            response=self._responses.get(key.call_id, ResponseFacts()),
            attempt=attempt_facts(call.proxy),
        )

    def _key(self, item: object) -> bytes | None:
        """The key of an item; that of another one where it only points to it."""
        if isinstance(item, dict) and is_reference(item):
            item_id = text_of(item, "id")
            return self._said[item_id] if item_id in self._said else item_key(item)
        if type(item) is not SharedObject:
            return item_key(item)
        if id(item) not in self._shared:
            self._shared[id(item)] = (item, item_key(item))
        return self._shared[id(item)][1]


def _call_ids(items: Iterable[object]) -> list[str]:
    """The tool calls that items are, or are outputs of."""
    found = [text_of(item, "call_id") for item in items if isinstance(item, dict)]
    return [call_id for call_id in found if call_id]


def _prefixes(keys: Iterable[bytes], before: bytes = b"") -> Iterable[bytes]:
    """The hash of each beginning, from `before`, the hash of what stands before it all."""
    for key in keys:
        before = _hash(before + key)
        yield before


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=PREFIX_BYTES).digest()


def attempt_facts(proxy: Mapping[str, object]) -> AttemptFacts:
    """From a call's `proxy`, as the recorder writes it, or as anybody else may."""
    sha256 = text_of(object_of(proxy, "request"), "sha256")
    retry_count, http_status = proxy.get("retry_count"), proxy.get("http_status")
    return AttemptFacts(
        retry_count=retry_count if isinstance(retry_count, int) else 0,
        body=None if sha256 is None else (sha256, text_of(proxy, "path") or ""),
        client_call_id=text_of(proxy, "client_call_id"),
        http_status=http_status if isinstance(http_status, int) else None,
        protocol=text_of(object_of(proxy, "outcome"), "protocol"),
    )
