"""Trace directories as the reading commands meet them, written by hand."""

import json
from pathlib import Path

from tests.support.bundles import BundleBuilder, message

HOSTILE = "\x1b[2Jx\x07\u202e[red]\r\n\ty"


def write_own_bundle(trace_dir: Path, *, ends: bool = True) -> Path:
    """A bundle as ours are: a call, a call that was refused and tried again, and one that was left.

    They are in one second; without an end, the last one was still running.
    """
    bundle = BundleBuilder(trace_dir / "trace-own", root_thread="talk", trace_id="own")
    bundle.manifest["producer"] = {"name": "tailrace"}
    bundle.turn("t")
    bundle.start("call-hello", "t", [message("user", "Say hello")], proxy={"transport": "sse"})
    bundle.complete(
        "call-hello",
        [message("assistant", "Hello to you")],
        response_id="resp_hello",
        upstream_request_id="req_hello",
        usage={
            "input_tokens": 1200,
            "cached_input_tokens": 1000,
            "output_tokens": 50,
            "reasoning_output_tokens": 10,
        },
        proxy=ending(200, "completed", "eof", first_event=200.25, last_event=1200.25, ended=1201.0),
    )
    body = {"model": "gpt-5.5", "input": "Translate it"}
    same = {"transport": "sse", "request": {"sha256": "a" * 64}, "path": "/v1/responses"}
    bundle.start("call-first", "t", body, proxy={**same, "retry_count": 0})
    bundle.fail(
        "call-first",
        error="http 429: slow down",
        upstream_request_id="req_first",
        proxy=ending(429, "none", "eof", reason="http 429: slow down", ended=20.0),
    )
    bundle.start("call-again", "t", body, proxy={**same, "retry_count": 1})
    bundle.complete(
        "call-again",
        [message("assistant", "Bonjour")],
        response_id="resp_again",
        proxy=ending(200, "completed", "eof", first_event=90.0, last_event=100.0, ended=100.5),
    )
    bundle.start("call-left", "t", [message("user", "Tell me a story")])
    if ends:
        partial = {"output_index": 0, "item": message("assistant", "Once upon")}
        bundle.cancel(
            "call-left",
            response_id="resp_left",
            partial_items=[partial],
            proxy=ending(200, "none", "client_closed", reason="client left", ended=900.0),
        )
        bundle.end()
    return bundle.write()


def ending(
    status: int, protocol: str, transport: str, *, reason: str | None = None, **timing: float
) -> dict[str, object]:
    """What `proxy` says on a terminal event."""
    outcome = {"protocol": protocol, "transport": transport, "reason": reason}
    return {"http_status": status, "outcome": outcome, "timing": timing}


def write_codex_bundle(trace_dir: Path) -> Path:
    """A bundle as Codex writes it: nothing of ours in it."""
    bundle = BundleBuilder(trace_dir / "trace-codex", trace_id="codex")
    bundle.turn("turn-1")
    bundle.start("codex-call", "turn-1", [message("user", "Fix the test")])
    bundle.complete("codex-call", [message("assistant", "Fixed")], response_id="resp_codex")
    bundle.end()
    return bundle.write()


def write_damaged_bundle(trace_dir: Path) -> Path:
    """A bundle with a line that is none, and a payload that is gone."""
    bundle = BundleBuilder(trace_dir / "trace-damaged", trace_id="damaged")
    bundle.turn("t")
    bundle.start("harmed-call", "t", [message("user", "Still here?")])
    bundle.raw_line(b'{"seq": nonsense')
    bundle.complete("harmed-call", [message("assistant", "Yes")], response_id="resp_harmed")
    written = bundle.write()
    (written / "payloads" / "1.json").unlink()
    return written


def write_hostile_bundle(trace_dir: Path) -> Path:
    """A bundle in which every text would steer a terminal."""
    bundle = BundleBuilder(trace_dir / "trace-hostile", root_thread=HOSTILE, trace_id="h")
    bundle.turn("t")
    bundle.start(f"call {HOSTILE}", "t", {"model": HOSTILE, "input": f"words {HOSTILE}"})
    named = f'"model": {json.dumps(HOSTILE)}'.encode()
    bundle.lines[-1] = bundle.lines[-1].replace(b'"model": "m"', named)
    bundle.fail(
        f"call {HOSTILE}",
        error=HOSTILE,
        response_id=HOSTILE,
        upstream_request_id=HOSTILE,
        proxy=ending(500, HOSTILE, HOSTILE, reason=HOSTILE, ended=1.0),
    )
    return bundle.write()
