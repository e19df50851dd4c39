"""A curl command that sends a recorded request again, with the key left to the environment."""

import base64
import binascii
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reducer.fields import list_of, object_of, text_of
from tracing.bundle_reader import BundleReader, NotABundle

from ..catalog.rows import CallKind, CallRow
from .evidence import CallEvents, PayloadRead, read_events, read_payload

DEFAULT_UPSTREAM = "https://api.openai.com/v1"
KEY = "$OPENAI_API_KEY"

_API_PREFIX = re.compile(r"\A(?:/v1){0,2}(?=/|\Z)")
_BEARER = "Authorization: Bearer"
_KEY_HEADERS = {"api-key": "api-key:", "x-api-key": "x-api-key:"}
_DELIMITER = "TAILRACE_BODY"


class NothingToRepeat(Exception):
    """The request was not kept; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurlCommand:
    """A shell script: `head` and `tail` are ours, `body` between them is the request's, in JSON.

    `is_json` is False where the body is what the client sent in place of JSON. `warnings` tell how
    the request differs from what was sent.
    """

    head: str
    body: bytes
    tail: str
    is_json: bool
    warnings: tuple[str, ...]


def curl_command(row: CallRow) -> CurlCommand:
    """Build it from the request as it was kept. Raises NothingToRepeat, CallUnreadable."""
    events = read_events(row)
    request = read_payload(row.bundle, row.request_path)
    body, is_json = _body(row, request)
    delimiter = _DELIMITER
    while delimiter.encode() in body:
        delimiter += "_"
    lines = [
        f"curl -sS -N {shlex.quote(_url(row, events.start_proxy))}",
        *_key_header(events.start_proxy),
        "-H 'Content-Type: application/json'",
        f"--data-binary @- <<'{delimiter}'",
    ]
    return CurlCommand(
        head=" \\\n  ".join(lines) + "\n",
        body=body,
        tail=("" if body.endswith(b"\n") else "\n") + f"{delimiter}\n",
        is_json=is_json,
        warnings=tuple(_warnings(row, events, request)),
    )


def _body(row: CallRow, request: PayloadRead) -> tuple[bytes, bool]:
    """The request's bytes, and whether they are JSON. Raises NothingToRepeat."""
    ours = object_of(request.value, "proxy")
    if request.data is None or request.fault:
        why = request.fault or "the bundle names none"
        raise NothingToRepeat(f"the request of call {row.call_id} cannot be had: {why}")
    encoded = text_of(ours, "body_base64")
    if encoded is not None:
        try:
            return base64.b64decode(encoded, validate=True), False
        except (binascii.Error, ValueError):
            raise NothingToRepeat(f"the request of call {row.call_id} is damaged") from None
    if (lost := text_of(ours, "lost")) is not None:
        raise NothingToRepeat(f"the request of call {row.call_id} was not kept: {lost}")
    return request.data, True


def _url(row: CallRow, start: Mapping[str, object]) -> str:
    try:
        producer = object_of(BundleReader(row.bundle, needs_manifest=False).manifest, "producer")
    except NotABundle:
        producer = {}
    upstream = text_of(producer, "upstream") or ""
    if not upstream.startswith(("http://", "https://")):
        upstream = DEFAULT_UPSTREAM
    is_compaction = row.kind is CallKind.COMPACTION
    usual = "/responses/compact" if is_compaction else "/responses"
    path = _API_PREFIX.sub("", text_of(start, "path") or usual, count=1)
    query = text_of(start, "query")
    return _printable(f"{upstream.rstrip('/')}{path}" + (f"?{query}" if query else ""))


def _printable(url: str) -> str:
    """A URL whose odd characters are escaped as URLs have them: nothing in it steers a terminal."""
    return "".join(
        character
        if " " < character <= "~"
        else "".join(f"%{byte:02X}" for byte in character.encode(errors="replace"))
        for character in url
    )


def _key_header(start: Mapping[str, object]) -> Iterator[str]:
    auth = object_of(start, "auth")
    if auth and auth.get("present") is not True:
        return
    yield f'-H "{_KEY_HEADERS.get(text_of(auth, "header") or "", _BEARER)} {KEY}"'


def _warnings(row: CallRow, events: CallEvents, request: PayloadRead) -> Iterator[str]:
    about = object_of(events.start_proxy, "request")
    places = [place for place in list_of(about, "redacted") or () if isinstance(place, str)]
    if places:
        yield f"secrets were taken out of the request and read [redacted], at {', '.join(places)}"
    if "[redacted]" in (text_of(events.start_proxy, "query") or ""):
        yield "a secret was taken out of the query and reads [redacted]"
    if row.transport == "websocket":
        yield "the request was sent over a WebSocket; here it is a POST, without a stream"
    if text_of(about, "form") == "logical":
        yield "the request built on a prewarm; here it is the whole request that it stands for"
    if "lost" in object_of(request.value, "proxy"):
        yield "the client did not send the body to its end"
    auth = object_of(events.start_proxy, "auth")
    if auth and auth.get("present") is not True:
        yield "the client sent no key"
