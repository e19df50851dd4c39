"""Reads one request: the payload that is kept of it, who sent it, and the secrets it carries."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .apart import LARGE_BYTES, is_large
from .call import CallStarted, SocketCall
from .decoding import DecodeError, decode_body
from .identity import Identity, identify
from .json_masking import mask_json
from .masking import mask
from .redaction import (
    header_secrets,
    kept_headers,
    may_hide_more,
    redact_body,
    redact_query,
    redact_text,
)
from .request_ids import upstream_request_id
from .strict_json import NotStrictJson, dumps, loads_strict

UNKNOWN_MODEL = "unknown"

_FRAME_FIELDS = frozenset({"type", "stream_id", "generate"})
"""What a ``response.create`` message has beside the request (OpenAI's WebSocket mode)."""

_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f]")
"""What no text holds, and what is compressed or in UTF-16 soon does."""

_NO_MEMORY = "Not enough memory"
"""How orjson says it, as if it were an error of the JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """A request as it is recorded, redacted. ``prewarm_body`` is empty where it is no prewarm."""

    payload: bytes
    model: str
    identity: Identity
    secrets: tuple[bytes, ...]
    proxy: Mapping[str, Any]
    is_prewarm: bool
    prewarm_body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prewarm:
    """What a prewarm sent and got: the beginning of the conversation that chains from it."""

    input: list[Any]
    output: list[Any]
    previous_response_id: str | None
    """The call that the prewarm itself chains from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Body:
    payload: bytes
    value: object = None
    pointers: tuple[str, ...] = ()
    secrets: tuple[bytes, ...] = ()


def decoded_if_small(started: CallStarted, decoded_bytes_max: int) -> bytes | None:
    """Return the body of a request, decoded; None where that takes long to read.

    How large it is on the wire says little: 2 KB may stand for 16 MiB. What cannot be decoded is
    not small either.
    """
    if started.body is None:
        return b""
    if is_large(started.body_bytes):
        return None
    bytes_max = min(LARGE_BYTES, decoded_bytes_max)
    encodings = (v for name, v in started.head.headers if name.lower() == b"content-encoding")
    encoding = next(encodings, b"").decode(errors="replace")
    try:
        decoded = decode_body(b"".join(started.body), encoding, bytes_max)
    except DecodeError:
        return None
    return None if is_large(len(decoded)) else decoded


def read_request(
    started: CallStarted,
    *,
    keep_body: bool,
    decoded_bytes_max: int,
    decoded: bytes | None = None,
    prewarm_of: Callable[[str], Prewarm | None] = lambda _: None,
) -> RequestRecord:
    """Read the request of a call: what cannot be read is kept as it came. Raises MemoryError only.

    ``decoded`` is the body, where it was decoded already.
    ``prewarm_of`` finds the prewarm whose response an id names, if it is one's: on a socket.
    """
    headers = _text_headers(started)
    encoding = headers.get("content-encoding")
    wire = None if started.body is None else b"".join(started.body)
    query, query_secrets = redact_query(started.head.query)
    head_secrets = (*header_secrets(started.head.headers), *query_secrets)
    if wire is None:
        body = _Body(payload=stub(started.lost or "it was not kept"))
    else:
        coded, coding = (wire, encoding) if decoded is None else (decoded, None)
        body = _read_body(coded, coding, head_secrets, decoded_bytes_max, is_whole=started.is_whole)
    fields = _fields(body.value)
    form = "wire"
    if started.socket is not None:
        body, form = _socket_body(body, started.socket, prewarm_of)
    secrets = tuple(dict.fromkeys((*head_secrets, *body.secrets)))
    payload = mask_json(body.payload, secrets) if keep_body else stub("capture is metadata")
    wire_sha256 = None if wire is None else hashlib.sha256(wire).hexdigest()
    kept_sha256 = wire_sha256 if payload == wire else hashlib.sha256(payload).hexdigest()
    model = fields.get("model")
    # Of the message as it came: the logical form no longer names the prewarm, whose thread it is.
    identity = identify(headers, fields)
    is_prewarm = _is_prewarm(fields)
    return RequestRecord(
        payload=payload,
        model=model if isinstance(model, str) else UNKNOWN_MODEL,
        identity=identity,
        secrets=secrets,
        is_prewarm=is_prewarm,
        prewarm_body=_fields(body.value) if is_prewarm and keep_body else {},
        proxy={
            "transport": _transport(started, fields),
            "method": started.head.method,
            "path": started.head.path,
            "query": query,
            "connection_id": started.head.connection_id,
            "stream_id": started.socket.stream_id if started.socket else None,
            "client_call_id": identity.client_call_id,
            "retry_count": _retry_count(headers),
            "request": {
                "bytes": started.body_bytes,
                "sha256": wire_sha256,
                "kept_sha256": kept_sha256,
                "content_encoding": encoding,
                "form": form,
                "redacted": list(body.pointers),
            },
            "client": {
                "user_agent": headers.get("user-agent"),
                "client_request_id": headers.get("x-client-request-id"),
                "traceparent": headers.get("traceparent"),
            },
            "auth": _auth(headers),
            **({"handshake": _handshake(started.socket)} if started.socket else {}),
        },
    )


def _read_body(
    wire: bytes,
    encoding: str | None,
    secrets: tuple[bytes, ...],
    decoded_bytes_max: int,
    *,
    is_whole: bool,
) -> _Body:
    try:
        decoded = decode_body(wire, encoding, decoded_bytes_max)
    except DecodeError as error:
        # Not kept: it may hold secrets, which nobody can find in it.
        return _Body(payload=stub(f"content-encoding {encoding}: {error}"))
    try:
        value = loads_strict(decoded)
    except NotStrictJson as error:
        if str(error).startswith(_NO_MEMORY):
            # It may be JSON all the same, and its secrets are found by its structure.
            raise MemoryError from None
        return _unreadable(decoded, str(error), secrets, is_whole=is_whole)
    redacted = redact_body(value)
    is_clean = not redacted.pointers and not may_hide_more(decoded, value)
    return _Body(
        payload=decoded if is_clean else dumps(redacted.value),
        value=redacted.value,
        pointers=redacted.pointers,
        secrets=redacted.secrets,
    )


def _socket_body(
    body: _Body, socket: SocketCall, prewarm_of: Callable[[str], Prewarm | None]
) -> tuple[_Body, str]:
    """Return the request in a message, and its form: wire, or logical where it builds on a prewarm.

    A prewarm is no call, so nothing in the bundle could stand for what the message leaves out;
    Codex's own bundles have the whole request there, too.
    """
    if not isinstance(body.value, dict):
        why = "upstream began this response without a request" if not socket.has_request else None
        return (replace(body, payload=stub(why)) if why else body), "wire"
    request = {name: v for name, v in body.value.items() if name not in _FRAME_FIELDS}
    parent = request.get("previous_response_id")
    prewarm = prewarm_of(parent) if isinstance(parent, str) else None
    form = "wire"
    if prewarm is not None:
        form = "logical"
        request["previous_response_id"] = prewarm.previous_response_id
        if prewarm.previous_response_id is None:
            del request["previous_response_id"]
        before = [*prewarm.input, *prewarm.output]
        request["input"] = [*before, *as_items(request.get("input"))]
        pointers = tuple(_moved(pointer, len(before)) for pointer in body.pointers)
        body = replace(body, pointers=pointers)
    return replace(body, payload=dumps(request), value=request), form


def _moved(pointer: str, by: int) -> str:
    """Return where a value stands when so many items come before those of the input."""
    match pointer.split("/"):
        case ["", "input"]:
            return f"/input/{by}/content/0/text"
        case ["", "input", index, *rest] if index.isdecimal():
            return "/".join(["", "input", str(int(index) + by), *rest])
        case _:
            return pointer


def as_items(value: object) -> list[Any]:
    """Return a request's ``input`` as a list of items; a string stands for a user's message."""
    match value:
        case list():
            return value
        case str():
            content = [{"type": "input_text", "text": value}]
            return [{"type": "message", "role": "user", "content": content}]
        case _:
            return []


def _fields(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_prewarm(fields: Mapping[str, Any]) -> bool:
    """Tell whether nothing is to be generated (openai-python, ``PromptCacheOptions.prewarm``)."""
    options = fields.get("prompt_cache_options")
    asks = isinstance(options, dict) and options.get("prewarm") is True
    return asks or fields.get("generate") is False


def _transport(started: CallStarted, fields: Mapping[str, Any]) -> str:
    if started.socket is not None:
        return "websocket"
    return "sse" if fields.get("stream") is True else "http"


def _handshake(socket: SocketCall) -> Mapping[str, Any]:
    """Tell of the handshake: its request id is the connection's, and no response's."""
    request_id, request_id_header = upstream_request_id(socket.handshake_headers)
    return {
        "http_status": socket.handshake_status,
        "upstream_request_id": request_id,
        "upstream_request_id_header": request_id_header,
        "response_headers": kept_headers(socket.handshake_headers),
    }


def _unreadable(body: bytes, why: str, secrets: tuple[bytes, ...], *, is_whole: bool) -> _Body:
    """Keep a body that is no JSON, or broke off, in base64: the payload is JSON all the same."""
    if _BINARY.search(body):
        # Compressed, or text in UTF-16: nobody can find the secrets in it.
        return _Body(payload=stub("the body is neither JSON nor text"))
    kept = mask(redact_text(body), secrets)
    proxy: dict[str, Any] = {"body_base64": base64.b64encode(kept).decode(), "unreadable": why}
    if not is_whole:
        proxy["lost"] = "the client did not send the body to its end"
    return _Body(payload=dumps({"input": [], "proxy": proxy}))


def stub(why: str) -> bytes:
    """Return the payload that stands for a request that could not be kept."""
    return dumps({"input": [], "proxy": {"lost": why}})


def _text_headers(started: CallStarted) -> Mapping[str, str]:
    """The headers by lower-case name; of duplicates the first, as the SDKs' servers take it."""
    headers: dict[str, str] = {}
    for name, value in started.head.headers:
        headers.setdefault(name.decode("latin-1").lower(), value.decode(errors="replace"))
    return headers


def _retry_count(headers: Mapping[str, str]) -> int:
    count = headers.get("x-stainless-retry-count", "")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 10 else 0


def _auth(headers: Mapping[str, str]) -> Mapping[str, Any]:
    for name in ("authorization", "api-key", "x-api-key"):
        if name in headers:
            return {"present": True, "header": name}
    return {"present": False, "header": None}
