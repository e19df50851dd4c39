"""The facts that link calls, as they are kept in the catalog, and read from there again."""

import hashlib
import struct
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from reducer.call_facts import (
    CallFacts,
    CallKey,
    RequestFacts,
    ResponseFacts,
    attempt_facts,
)
from reducer.fields import object_of, text_of
from reducer.link_rules import Sign, ends_of, signs_of
from tracing.bundle_reader import RawEvent
from tracing.strict_json import dumps

FIRST_SCHEMA_VERSION = 1

_ATTEMPT_KEYS = ("retry_count", "path", "client_call_id", "http_status", "response_id")


class FactsRow(NamedTuple):
    """A row of `link_facts`, with what the catalog says of the call itself."""

    trace_id: str
    call_id: str
    thread_id: str
    model: str
    status: str
    ended_at_unix_ms: int | None
    ordinal: int
    order_unix_ms: int
    begun: bytes
    ended: bytes | None
    prefixes: bytes


FACTS_QUERY = """
SELECT b.trace_id, c.call_id, c.thread_id, c.model, c.status, c.ended_at_unix_ms,
    f.ordinal, f.order_unix_ms, f.begun, f.ended, {prefixes}
FROM link_facts f JOIN bundles b ON b.id = f.bundle JOIN calls c ON c.id = f.call
WHERE f.call = ?
"""


def facts_of(row: FactsRow) -> CallFacts:
    """The facts of a call, from its row."""
    begun = orjson.loads(row.begun)
    ended = {} if row.ended is None else orjson.loads(row.ended)
    proxy = merged(begun["proxy"], ended.get("proxy", {}))
    response_ids = (ended.get("response_id"), text_of(proxy, "response_id"))
    return CallFacts(
        key=CallKey(row.trace_id, row.call_id),
        thread_id=row.thread_id,
        model=row.model,
        order_unix_ms=row.order_unix_ms,
        ordinal=row.ordinal,
        ended_at_unix_ms=row.ended_at_unix_ms,
        status=row.status,
        response_ids=tuple(dict.fromkeys(each for each in response_ids if each)),
        known_parent=begun["parent"],
        request=_request_facts(begun["request"], row.prefixes),
        response=_response_facts(ended.get("response")),
        attempt=attempt_facts(proxy),
    )


def begun_record(
    event: RawEvent, request: RequestFacts | None, parent: str | None
) -> dict[str, object]:
    """What a call's start tells, but for the hashes of its input."""
    return {
        "parent": parent,
        "proxy": _attempt_of(object_of(event.payload, "proxy")),
        "request": None
        if request is None
        else [
            request.previous_response_id,
            request.end.hex(),
            request.is_only_scene,
            request.answers,
            request.instructions.hex(),
        ],
    }


def ended_record(
    event: RawEvent, body: Mapping[str, object] | None, earlier: dict[str, Any]
) -> dict[str, Any]:
    """What a call's end tells, its output aside, after what `earlier` ends of it told.

    The last one's response id counts, as in the reducer.
    """
    response_id = response_id_of(event)
    proxy = _attempt_of(object_of(event.payload, "proxy"))
    if proxy.get("response_id") is None:
        proxy["response_id"] = response_id or text_of(body or {}, "response_id")
    return {
        **earlier,
        "response_id": response_id,
        "proxy": merged(earlier.get("proxy", {}), proxy),
    }


def response_record(response: ResponseFacts) -> list[object]:
    """What a response's output tells."""
    return [[end.hex() for end in response.ends], response.call_ids, response.has_output]


def response_id_of(event: RawEvent) -> str | None:
    """The response's id in Codex's sense. Codex first kept it under another name."""
    if event.type != "inference_completed":
        return None
    if event.schema_version == FIRST_SCHEMA_VERSION and "response_id" not in event.payload:
        return text_of(event.payload, "upstream_request_id")
    return text_of(event.payload, "response_id")


def merged(known: Mapping[str, object], found: Mapping[str, object]) -> dict[str, object]:
    """A call's `proxy` with what another event says of it; what is there already stays."""
    return {**found, **{key: value for key, value in known.items() if value is not None}}


def packed(value: object) -> bytes:
    """A record as it is kept."""
    return dumps(value)


def sign_hash(sign: Sign) -> int:
    """A sign as the catalog knows it. Two among a million are taken for one once in 10^7."""
    digest = hashlib.blake2b(repr(sign).encode("utf-8", "backslashreplace"), digest_size=8)
    return int.from_bytes(digest.digest(), "big", signed=True)


def text_hash(text: str) -> int:
    """An id that may be of any length, as the catalog knows it."""
    return sign_hash((text,))


def end_hashes(ends: Iterable[bytes]) -> list[int]:
    """The ends of conversations, as the catalog knows them."""
    return [int.from_bytes(end, "big", signed=True) for end in ends]


def sign_hashes(call: CallFacts) -> list[int]:
    """All that later calls may know a call by, the ends of its conversation among it."""
    hashes = [*map(sign_hash, signs_of(call)), *end_hashes(ends_of(call))]
    return list(dict.fromkeys(hashes))


def pack_hashes(hashes: Iterable[int]) -> bytes:
    """Hashes side by side."""
    hashes = list(hashes)
    return struct.pack(f">{len(hashes)}q", *hashes)


def unpack_hashes(data: bytes) -> tuple[int, ...]:
    """What `pack_hashes` packed; a request's prefixes are packed so as well."""
    return struct.unpack(f">{len(data) // 8}q", data)


def _attempt_of(proxy: Mapping[str, object]) -> dict[str, object]:
    """Of a call's `proxy`, what `attempt_facts` looks at."""
    found = {key: proxy[key] for key in _ATTEMPT_KEYS if proxy.get(key) is not None}
    if proxy.get("request") is not None:
        found["request"] = {"sha256": text_of(object_of(proxy, "request"), "sha256")}
    if proxy.get("outcome") is not None:
        found["outcome"] = {"protocol": text_of(object_of(proxy, "outcome"), "protocol")}
    return found


def _request_facts(record: list[Any] | None, prefixes: bytes) -> RequestFacts:
    if record is None:
        return RequestFacts()
    previous_response_id, end, is_only_scene, answers, instructions = record
    return RequestFacts(
        previous_response_id=previous_response_id,
        prefixes=prefixes,
        end=bytes.fromhex(end),
        is_only_scene=is_only_scene,
        answers=tuple(answers),
        instructions=bytes.fromhex(instructions),
    )


def _response_facts(record: list[Any] | None) -> ResponseFacts:
    if record is None:
        return ResponseFacts()
    ends, call_ids, has_output = record
    return ResponseFacts(
        ends=tuple(bytes.fromhex(end) for end in ends),
        call_ids=tuple(call_ids),
        has_output=has_output,
    )
