"""`tailrace show --request` and `--response`: the payload as it is, and why it is not all."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.events import sse_pieces, text_stream
from tests.support.recording import call_id, only_bundle, recording
from tests.viewer.terminal.shown import ASKED, show


def test_payloads_come_byte_for_byte_into_a_pipe(tmp_path: Path) -> None:
    """`--request` is what the client sent, with its own spaces; `--response` is the payload."""
    body = b'{ "model" : "gpt-5.5",  "stream": true, "input": "\xc3\xa4 \\u001b[2J" }'
    with recording(tmp_path) as record:
        record.call(*sse_pieces(*text_stream("Hello")), body=body)
        bundle = only_bundle(record.close())
    assert show(tmp_path, "last", "--request").stdout_bytes == body
    payload = (bundle / "payloads" / "2.json").read_bytes()
    assert show(tmp_path, "last", "--response").stdout_bytes == payload


@pytest.mark.parametrize(
    ("part", "keep_bodies", "asked", "why"),
    [
        ("--request", False, ASKED, "the request was not kept: the recorder was told to keep"),
        ("--response", False, ASKED, "the response was not kept: the recorder was told to keep"),
        ("--request", True, b"\xff\xfe\x00", "the request was not kept: the body is neither JSON"),
        ("--request", True, b"{no", "the request is no JSON; it is in proxy.body_base64"),
    ],
)
def test_a_payload_that_is_a_stub_says_why(
    tmp_path: Path, part: str, keep_bodies: bool, asked: Any, why: str
) -> None:
    """On stderr; what a script reads is the payload as the bundle has it."""
    with recording(tmp_path, keep_bodies=keep_bodies) as record:
        record.call(*sse_pieces(*text_stream("Hello")), body=asked)
        bundle = only_bundle(record.close())
    result = show(tmp_path, "last", part)
    payload = bundle / "payloads" / ("1.json" if part == "--request" else "2.json")
    assert (result.exit_code, result.stdout_bytes) == (0, payload.read_bytes())
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"tailrace: warning: {why}")


def test_a_response_says_what_it_lacks(tmp_path: Path) -> None:
    """One that was kept whole says nothing; of one that was not, how much is missing."""
    with recording(tmp_path) as record:
        record.call(*sse_pieces(*text_stream("Hello")), body=ASKED)
        record.has_memory = False
        record.call(*sse_pieces(*text_stream("Hello")), body=ASKED)
        record.close()
    assert show(tmp_path, str(call_id(1)), "--response").stderr == ""
    lacking = show(tmp_path, str(call_id(2)), "--response")
    assert re.fullmatch(
        r"tailrace: warning: of the response these were not kept: \d+ bytes, for want of memory\n",
        lacking.stderr,
    )
