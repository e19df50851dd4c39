"""Reads what a call showed to the model, and what it cost: the evidence for its cached tokens."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tracing.bundle_reader import BundleReader, DamagedPayload, PayloadRef

from .exact_json import NotExactJson, parse_payload
from .fields import list_of, object_of, text_of

State = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One call's request. `body` is None where it could not be read or was not kept.

    `conversation` are all the items that the model was shown, None where only the new ones are
    known. Times are Unix milliseconds; tokens are None where no usage was told.
    """

    call_id: str
    model: str
    status: str
    body: Mapping[str, object] | None
    conversation: tuple[object, ...] | None
    output: tuple[object, ...]
    started_at_unix_ms: int
    ended_at_unix_ms: int | None
    input_tokens: int | None
    cached_tokens: int | None

    @property
    def continues_by_id(self) -> bool:
        """Whether the server puts the earlier conversation before what the request holds."""
        body = self.body or {}
        return bool(body.get("previous_response_id") or body.get("conversation"))


def make_prompt(
    *,
    call_id: str,
    model: str,
    status: str,
    body: Mapping[str, object] | None,
    response: Mapping[str, object],
    started_at_unix_ms: int,
    ended_at_unix_ms: int | None,
    input_tokens: int | None,
    cached_tokens: int | None,
) -> Prompt:
    """Put a prompt together from a call's payloads, wherever they were read.

    `body` is None where it could not be, `response` then empty; `model` is the one that counts
    where the body names none.
    """
    if body is not None and "lost" in object_of(body, "proxy"):
        body = None
    is_delta = bool(body and (body.get("previous_response_id") or body.get("conversation")))
    return Prompt(
        call_id=call_id,
        model=text_of(body or {}, "model") or model,
        status=status,
        body=body,
        conversation=None if body is None or is_delta else tuple(input_of(body)),
        output=tuple(list_of(response, "output_items") or ()),
        started_at_unix_ms=started_at_unix_ms,
        ended_at_unix_ms=ended_at_unix_ms,
        input_tokens=input_tokens,
        cached_tokens=cached_tokens,
    )


def with_history(prompt: Prompt, earlier: Iterable[Prompt]) -> Prompt:
    """The prompt with the whole conversation, where the calls before it tell that.

    `earlier` are the calls whose responses are continued, the latest first; no more of them are
    asked for than it takes.
    """
    if prompt.conversation is not None or prompt.body is None:
        return prompt
    newer = [tuple(input_of(prompt.body))]
    for before in earlier:
        if before.body is None:
            return prompt
        newer += [before.output, tuple(input_of(before.body))]
        if before.conversation is not None:
            items = (item for part in reversed(newer) for item in part)
            return replace(prompt, conversation=tuple(items))
    return prompt


def read_prompt(bundle: Path, state: State, call_id: str, *, whole: bool = False) -> Prompt:
    """Read a call of a bundle, and of the state that the bundle was reduced to.

    With `whole`, the conversation of a call that continues a response by its id is put together
    from the calls before it, where these are in the bundle. Raises KeyError where the state has no
    such call, and NotABundle.
    """
    reader = BundleReader(bundle)
    prompt = _read(reader, state, call_id)
    return with_history(prompt, _earlier(reader, state, call_id)) if whole else prompt


def _earlier(reader: BundleReader, state: State, call_id: str) -> Iterator[Prompt]:
    parent = _parent_of(state, call_id)
    while parent is not None:
        yield _read(reader, state, parent)
        parent = _parent_of(state, parent)


def _read(reader: BundleReader, state: State, call_id: str) -> Prompt:
    call = state["inference_calls"][call_id]
    usage = call["usage"] or {}
    return make_prompt(
        call_id=call_id,
        model=call["model"],
        status=call["execution"]["status"],
        body=_payload(reader, state, call["raw_request_payload_id"]),
        response=_payload(reader, state, call["raw_response_payload_id"]) or {},
        started_at_unix_ms=call["execution"]["started_at_unix_ms"],
        ended_at_unix_ms=call["execution"]["ended_at_unix_ms"],
        input_tokens=usage.get("input_tokens"),
        cached_tokens=usage.get("cached_input_tokens"),
    )


def _payload(
    reader: BundleReader, state: State, raw_payload_id: str | None
) -> dict[str, object] | None:
    ref = PayloadRef.parse(state["raw_payloads"].get(raw_payload_id))
    data = None if ref is None else reader.payload_bytes(ref)
    if data is None or isinstance(data, DamagedPayload):
        return None
    try:
        value, _ = parse_payload(data)
    except NotExactJson:
        return None
    return value if isinstance(value, dict) else None


def input_of(body: Mapping[str, object]) -> list[object]:
    """The items of a request's input; a string stands for a user's message."""
    match body.get("input"):
        case list() as items:
            return items
        case str() as text:
            return [{"type": "message", "role": "user", "content": text}]
        case _:
            return []


def _parent_of(state: State, call_id: str) -> str | None:
    """The call whose response this one names; None where it names none that is known."""
    continues = object_of(state["inference_calls"][call_id]["proxy"], "continues")
    is_named = text_of(continues, "by") == "previous_response_id"
    return text_of(continues, "call") if is_named else None
