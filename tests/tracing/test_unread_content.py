"""Calls with content that took too much time or memory to read: all but the content is recorded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from tests.support import events as wire
from tests.support import raw_bundle
from tests.support.recording import JSON_HEAD, SSE_HEAD, Recording, answer, only_bundle, recording
from tests.support.script import GUARD_S
from tracing import apart
from tracing.apart import Apart
from tracing.redaction import RawHeaders
from tracing.request import read_request

KEY = "sk-proj-abcdefghijklmnopqrstuvwx"
HEADERS: RawHeaders = (
    (b"Authorization", f"Bearer {KEY}".encode()),
    (b"session-id", b"session-1"),
)
BODY = {"model": "m", "stream": True, "input": "hello"}
STREAM = [wire.sse(*wire.text_stream("Hel", "lo", KEY))]
WHY = "the process that read it ended, which may take 1408 MiB of memory"


def fail_on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the process die of what the function of this name reads, and read nothing else."""
    monkeypatch.setattr(apart, "LARGE_BYTES", -1)

    def die(_: Apart, question: tuple[Callable[..., Any], Any, Any]) -> object:
        function, args, kwargs = question
        if function.__name__ == name:
            raise EOFError
        return function(*args, **kwargs)

    monkeypatch.setattr(Apart, "_ask", die)


def test_call_whose_request_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stub says why; its ids are those of its head, and it ends as it ended."""
    fail_on(monkeypatch, "read_request")
    with recording(tmp_path) as record:
        record.call(*STREAM, body=BODY, headers=HEADERS)
        bundle = only_bundle(record.close())
    assert raw_bundle.request_payload(bundle) == {"input": [], "proxy": {"lost": WHY}}
    start = raw_bundle.only_event(bundle, "inference_started")
    assert (start["thread_id"], start["model"]) == ("session-1", "unknown")
    assert start["proxy"]["request"]["bytes"] == len(orjson.dumps(BODY))
    assert raw_bundle.only_terminal(bundle)["type"] == "inference_completed"
    assert raw_bundle.response_payload(bundle)["output_items"] != []
    assert record.lost == {"request_bytes": len(orjson.dumps(BODY))}
    assert KEY.encode() not in b"".join(p.read_bytes() for p in bundle.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("pieces", "status", "headers", "terminal", "response_id"),
    [
        (STREAM, 200, SSE_HEAD, "inference_completed", "resp_1"),
        ([b'{"status": "completed"}'], 200, JSON_HEAD, "inference_completed", None),
        ([b'{"error": {"message": "no"}}'], 429, JSON_HEAD, "inference_failed", None),
    ],
)
def test_call_whose_response_cannot_be_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pieces: list[bytes],
    status: int,
    headers: RawHeaders,
    terminal: str,
    response_id: str | None,
) -> None:
    """How it ended does not depend on what could be read of it, nor does what it was of."""
    fail_on(monkeypatch, "read_settled")
    with recording(tmp_path) as record:
        answer(record.ask(BODY, headers=HEADERS), pieces, status=status, headers=headers)
        bundle = only_bundle(record.close())
    event = raw_bundle.only_terminal(bundle)
    assert (event["type"], event["proxy"]["response_id"]) == (terminal, response_id)
    payload = raw_bundle.response_payload(bundle)
    assert payload == {
        "response_id": response_id,
        "upstream_request_id": "req_1",
        "token_usage": None,
        "output_items": [],
        "proxy": {"lost": WHY},
    }
    assert set(record.lost) == {"response_bytes"}


def test_no_memory_in_the_proxy_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The body is lost, and the call is not."""

    def starve(started: Any, **settings: Any) -> Any:
        if started.body is not None:
            raise MemoryError
        return read_request(started, **settings)

    monkeypatch.setattr("tracing.journal.read_request", starve)
    with recording(tmp_path) as record:
        record.call(*STREAM, body=BODY, headers=HEADERS)
        bundle = only_bundle(record.close())
    why = "there was not enough memory to read it"
    assert raw_bundle.request_payload(bundle) == {"input": [], "proxy": {"lost": why}}
    assert record.lost == {"request_bytes": len(orjson.dumps(BODY))}


@pytest.mark.parametrize(("decoded_bytes", "is_apart"), [(3_000_000, True), (1_000_000, False)])
@pytest.mark.parametrize("is_encoded", [True, False])
def test_body_is_read_apart_by_its_size_when_decoded(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    decoded_bytes: int,
    *,
    is_apart: bool,
    is_encoded: bool,
) -> None:
    """Some hundred bytes on the wire may stand for as much as nobody may parse here."""
    monkeypatch.setattr(apart, "ANSWER_SECONDS_MAX", GUARD_S)
    plain = orjson.dumps({"model": "m", "input": "x" * decoded_bytes})
    head = (*HEADERS, (b"Content-Encoding", b"zstd")) if is_encoded else HEADERS
    asked = []
    ask = Apart._ask

    def watched(self: Apart, question: tuple[Callable[..., Any], Any, Any]) -> object:
        asked.append(question[0].__name__)
        return ask(self, question)

    monkeypatch.setattr(Apart, "_ask", watched)
    with recording(tmp_path, decoded_bytes_max=len(plain)) as record:
        monkeypatch.setattr(Recording, "request_bytes_max", len(plain))
        record.call(*STREAM, body=zstandard.compress(plain) if is_encoded else plain, headers=head)
        bundle = only_bundle(record.close())
    assert asked == ["read_request"] * is_apart
    assert (bundle / "payloads/1.json").read_bytes() == plain
