"""The command that sends a request again, run by a real shell with a curl that tells of itself."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson

from tests.support.events import (
    sse_pieces,
    text_stream,
)
from tests.support.recording import (
    answer,
    recording,
)
from tests.support.socket_recording import Socket, socket_recording
from tests.viewer.terminal.shown import ASKED, HEADERS, show, shown

CURL = """\
import json, os, sys
sys.stdout.write(json.dumps({"arguments": sys.argv[1:], "body": sys.stdin.buffer.read().hex()}))
"""


def repeated(tmp_path: Path, script: str) -> dict[str, Any]:
    """Run the script with a curl that tells what it was given."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "curl.py").write_text(CURL)
    (tools / "curl").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{tools}/curl.py" "$@"\n')
    (tools / "curl").chmod(0o755)
    done = subprocess.run(
        ["/bin/sh"],
        input=script,
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": f"{tools}:{os.environ['PATH']}", "OPENAI_API_KEY": "sk-mine"},
    )
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_curl_sends_the_same_request_again(tmp_path: Path) -> None:
    """The shell takes the command as it is printed: the same bytes, and the user's own key."""
    text = 'It\'s "quoted" `touch owned` $(touch owned) $HOME \\ !!\u20ac\nTAILRACE_BODY\n'
    body = orjson.dumps({**ASKED, "input": text})
    with recording(tmp_path / "traces", producer={"upstream": "https://api.example/v1/"}) as record:
        trace = record.ask(body, headers=HEADERS, query="a=$(touch owned)&b='")
        answer(trace, sse_pieces(*text_stream("Hello")))
        record.close()
    result = show(tmp_path / "traces", "last", "--curl")
    assert "sk-very-secret" not in result.output
    sent = repeated(tmp_path, result.stdout)
    assert bytes.fromhex(sent["body"]).rstrip(b"\n") == body
    assert "https://api.example/v1/responses?a=$(touch%20owned)&b='" in sent["arguments"]
    assert "Authorization: Bearer sk-mine" in sent["arguments"]
    assert not (tmp_path / "owned").exists()


def test_curl_repeats_what_is_no_json_and_holds_the_delimiter(tmp_path: Path) -> None:
    """A here-document does not end within the body, whatever the body holds."""
    body = b"input=1\nTAILRACE_BODY\ntouch owned\nTAILRACE_BODY_\n"
    with recording(tmp_path / "traces") as record:
        record.call(*sse_pieces(*text_stream("Hello")), body=body)
        record.close()
    sent = repeated(tmp_path, shown(tmp_path / "traces", "last", "--curl"))
    assert bytes.fromhex(sent["body"]) == body
    assert not (tmp_path / "owned").exists()


def test_curl_warns_of_what_was_taken_out(tmp_path: Path) -> None:
    """A secret that the bundle has not is one that the request would lack."""
    tool = {"type": "mcp", "server_label": "s", "authorization": "hidden-1"}
    with recording(tmp_path) as record:
        record.call(*sse_pieces(*text_stream("Hello")), body={**ASKED, "tools": [tool]})
        record.close()
    result = show(tmp_path, "last", "--curl")
    assert "/tools/0/authorization" in result.stderr
    assert "hidden-1" not in result.output


def test_curl_without_a_request_is_an_error(tmp_path: Path) -> None:
    """What was not kept cannot be sent again."""
    with recording(tmp_path, keep_bodies=False) as record:
        record.call(*sse_pieces(*text_stream("Hello")))
        record.close()
    result = show(tmp_path, "last", "--curl")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "was not kept" in result.stderr


def test_curl_of_a_websocket_is_a_post(tmp_path: Path) -> None:
    """There is no curl for a WebSocket's message; that it differs is said."""
    with socket_recording(tmp_path) as record:
        socket = Socket(record)
        socket.create("one")
        socket.receive(*text_stream("Hello"))
        socket.end()
        record.close()
    result = show(tmp_path, "last", "--curl")
    assert "WebSocket" in result.stderr
    assert "/responses" in result.stdout
