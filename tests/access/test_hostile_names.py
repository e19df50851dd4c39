"""Names that a client chooses are data: no file is called after one, and none is touched by one."""

import json
import re
from pathlib import Path

import orjson
import pytest

from tests.support.differential import call
from tests.support.events import ev_completed, ev_created, sse
from tests.support.raw_http import exchange
from tests.support.reduced import only, only_call, state_after
from tests.support.running_proxy import RunningProxy
from tests.support.script import SSE_TYPE, RawHeaders, Reply
from tests.support.scripted_upstream import ScriptedUpstream

NAMES = {
    "up": "../../../canary",
    "absolute": "/canary",
    "NUL": "a\0b",
    "line": "a\r\nb",
    "escape": "\x1b[2J\x1b]0;owned\x07",
    "C1": "\x9b2J",
    "bidi": "\u202egpj.exe",
    "long": "x" * 10_000,
    "surrogate": "\ud800",
    "glob": "*",
    "empty": "",
    "home": "~/canary",
    "a file of ours": "trace.jsonl",
    "percent": "%2e%2e%2fcanary",
}
FILES = re.compile(
    r"trace-[0-9a-f-]{36}(/(manifest\.json|trace\.jsonl|payloads(/\d+\.json)?|streams(/\d+\.cap)?))?"
)
ID_HEADERS = (
    b"thread-id",
    b"session-id",
    b"conversation_id",
    b"x-client-request-id",
    b"x-codex-inference-call-id",
    b"x-codex-turn-metadata",
    b"traceparent",
    b"user-agent",
)


def headers_of(name: str) -> RawHeaders:
    """Every header that names something, as far as a header can hold the name."""
    value = re.sub(rb"[\x00-\x08\x0a-\x1f\x7f]", b"", name.encode("utf-8", "surrogatepass"))[:6000]
    return tuple((header, value.strip()) for header in ID_HEADERS)


def body_of(name: str) -> bytes:
    """Every field of a request that names something; the surrogate stays as its escape."""
    metadata = {"thread_id": name, "turn_id": name, "session_id": name}
    body = {
        "model": name,
        "input": "Hi",
        "stream": True,
        "prompt_cache_key": name,
        "conversation": {"id": name},
        "previous_response_id": name,
        "client_metadata": metadata | {"x-codex-turn-metadata": str(metadata)},
    }
    return json.dumps(body).encode()


@pytest.mark.parametrize("kind", NAMES)
def test_no_name_becomes_a_path(
    upstream: ScriptedUpstream, proxy: RunningProxy, tmp_path: Path, kind: str
) -> None:
    """The bundle has its own files and no others, and nothing beside it was made or changed."""
    name = NAMES[kind]
    canary = tmp_path / "canary"
    canary.write_text("untouched")
    stream = sse(ev_created(name), ev_completed(name)) if kind != "surrogate" else b"data: {}\n\n"
    ids = tuple((header, value) for header, value in headers_of(name) if b"id" in header)
    answered = (SSE_TYPE, *ids, (b"x-request-id", ids[0][1]))
    upstream.enqueue(Reply(headers=answered, body=[stream], framing="chunked"))
    answer = exchange(proxy.port, call(headers_of(name), body_of(name)))
    assert answer.body == stream
    ended = only_call(state_after(proxy))
    assert ended["execution"]["status"] == ("failed" if kind == "surrogate" else "completed")
    only(proxy.bundles())
    made = {str(path.relative_to(proxy.trace_dir)) for path in proxy.trace_dir.rglob("*")}
    assert [path for path in made if not FILES.fullmatch(path)] == []
    assert {path.name for path in tmp_path.iterdir()} == {"canary", "traces"}
    assert canary.read_text() == "untouched"
    assert orjson.loads((only(proxy.bundles()) / "manifest.json").read_bytes())
