"""`tailrace tail` as a person, a pipe and a script meet it, on a proxy that is at work."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.events import error_body, sse_pieces, text_stream
from tests.support.pseudo_terminal import PseudoTerminal
from tests.support.raw_http import RawConnection, exchange, request_bytes
from tests.support.running_proxy import RunningProxy
from tests.support.script import Gate, Reply, json_reply, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.serve_process import ServeProcess
from viewer.terminal.call_table import HEADER

REPO_ROOT = Path(__file__).resolve().parents[3]
WORDS = ("Once ", "upon ", "a time")
BEFORE_TEXT = 4
"""Events of a stream before its first delta."""


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """An upstream that answers as it is told to."""
    with ScriptedUpstream() as started:
        yield started


@pytest.fixture
def proxy(upstream: ScriptedUpstream, tmp_path: Path) -> Iterator[RunningProxy]:
    """A proxy that writes to ./traces."""
    with RunningProxy(upstream.url, tmp_path / "traces") as started:
        yield started


def request(base_url: str, asked: str = "Tell me a story") -> bytes:
    """A request for a stream."""
    body = json.dumps({"model": "gpt-5.5", "input": asked, "stream": True}).encode()
    return request_bytes("POST", f"{base_url}/responses", body=body)


def story(*gates: Gate | bytes) -> Reply:
    """A stream that says the words, with these before its second delta."""
    pieces = sse_pieces(*text_stream(*WORDS))
    return stream_reply(*pieces[: BEFORE_TEXT + 1], *gates, *pieces[BEFORE_TEXT + 1 :])


@contextmanager
def calling(port: int, asked: bytes) -> Iterator[None]:
    """Make a call meanwhile; it has ended when the block has."""
    caller = threading.Thread(target=exchange, args=(port, asked))
    caller.start()
    yield
    caller.join()


@contextmanager
def tail(cwd: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """The command with its output on a pipe."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tailrace", "tail", *arguments],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO_ROOT)} | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with process:
            yield process
            process.kill()
    finally:
        process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().removesuffix("\n")


def test_a_terminal_shows_a_call_from_its_first_word_to_its_end(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """Waiting for the first trace, a running call at the bottom, its end above, and no trace of
    the bottom after Ctrl-C."""
    begun, going_on = Gate(), Gate()
    upstream.enqueue(stream_reply(begun, *story(going_on).body))
    with PseudoTerminal(["tail"], tmp_path, columns=109) as terminal:
        terminal.wait_for("tailrace: waiting for the first call: ")
        waiting = [line for line in terminal.lines if line]
        with RunningProxy(upstream.url, tmp_path / "traces") as proxy:
            with calling(proxy.port, request(proxy.base_url, "Tell me \x1b[2J\u202ea story\n")):
                asked = terminal.wait_for("running", "gpt-5.5", "Tell me")
                assert "begun" in asked or "sent" in asked
                begun.open()
                said = terminal.wait_for("running", " kB", "Once")
                assert "upon" not in said
                going_on.open()
            ended = terminal.wait_for("completed", "gpt-5.5", "Once upon a time")
            terminal.wait_for("waiting for calls")
            assert r"Tell me \x1b[2J\u202ea story" in ended
            assert not any("running" in line for line in terminal.lines)
        code = terminal.interrupt()
        assert [line for line in terminal.lines if line] == [*waiting, ended]
    assert code == 130


def test_a_window_that_changes_keeps_its_lines_in_order(
    upstream: ScriptedUpstream, proxy: RunningProxy, tmp_path: Path
) -> None:
    """Narrower: each call still has one line, and what was painted is painted over."""
    gate = Gate()
    upstream.enqueue(story())
    upstream.enqueue(story(gate))
    exchange(proxy.port, request(proxy.base_url))
    with PseudoTerminal(["tail"], tmp_path, columns=120) as terminal:
        terminal.wait_for("completed")
        with calling(proxy.port, request(proxy.base_url)):
            terminal.wait_for("running", "Once")
            terminal.resize(40)
            terminal.wait_for("running", "…")
            assert sum("running" in line for line in terminal.lines) == 1
            gate.open()
        terminal.wait_for("waiting for calls")
        assert sum("completed" in line for line in terminal.lines) == 2
        assert max(map(len, terminal.lines)) <= 40
        terminal.interrupt()


def test_a_pipe_gets_a_line_when_a_call_ended(
    upstream: ScriptedUpstream, proxy: RunningProxy, tmp_path: Path
) -> None:
    """At once, as `ls` prints it, beginning with the last calls, and on through new bundles."""
    for asked in ("first", "second", "third"):
        upstream.enqueue(story())
        exchange(proxy.port, request(proxy.base_url, asked))
    proxy.stop()
    with tail(tmp_path, "-n", "2") as process:
        assert next_line(process) == "\t".join(HEADER)
        lines = [next_line(process), next_line(process)]
        with RunningProxy(upstream.url, tmp_path / "traces") as other:
            upstream.enqueue(story())
            exchange(other.port, request(other.base_url, "fourth"))
            lines.append(next_line(process))
        assert [line.split("\t")[-2:] for line in lines] == [
            [asked, "Once upon a time"] for asked in ("second", "third", "fourth")
        ]


def test_a_script_gets_objects_and_only_those_it_wants(
    upstream: ScriptedUpstream, proxy: RunningProxy, tmp_path: Path
) -> None:
    """One a line, with the state's keys; the filters are those of `ls`."""
    for number in range(4):
        upstream.enqueue(json_reply(error_body(), status=500, request_id=f"req_{number}"))
        upstream.enqueue(story())
    with tail(tmp_path, "--json", "--status", "failed", "-n1") as process:
        failed = []
        for _ in range(4):
            exchange(proxy.port, request(proxy.base_url))
            exchange(proxy.port, request(proxy.base_url))
            failed.append(json.loads(next_line(process)))
    assert [call["upstream_request_id"] for call in failed] == [f"req_{n}" for n in range(4)]
    assert {call["execution"]["status"] for call in failed} == {"failed"}
    assert {call["proxy"]["http_status"] for call in failed} == {500}


def test_a_call_whose_recorder_is_killed_is_lost(
    upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """It does not stay at the bottom for ever, as if it still ran."""
    gate = Gate()
    upstream.enqueue(story(gate))
    traces = tmp_path / "traces"
    with (
        ServeProcess(upstream.url, traces, tmp_path) as serve,
        PseudoTerminal(["tail", "--trace-dir", traces], tmp_path) as terminal,
        RawConnection(serve.port) as client,
    ):
        client.send(request(serve.base_url))
        terminal.wait_for("running", "Once")
        serve.kill()
        terminal.wait_for(" lost ", "Tell me a story")
        terminal.wait_for("waiting for calls")
        terminal.interrupt()


def test_ctrl_c_ends_it_quietly(tmp_path: Path) -> None:
    """Wherever it is, with the exit code that shells have for it."""
    with tail(tmp_path) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
        assert told.startswith("tailrace: waiting for the first call: there is no trace directory")
        process.send_signal(signal.SIGINT)
        assert process.communicate() == ("", "")
        assert process.returncode == 130


def test_it_ends_when_nobody_reads_it(
    upstream: ScriptedUpstream, proxy: RunningProxy, tmp_path: Path
) -> None:
    """`tailrace tail | head -1` is over after one line, and not after the next call."""
    upstream.enqueue(story())
    exchange(proxy.port, request(proxy.base_url))
    proxy.stop()
    with tail(tmp_path) as process:
        next_line(process)
        next_line(process)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_what_an_encoding_does_not_have_is_escaped(
    upstream: ScriptedUpstream, proxy: RunningProxy, tmp_path: Path
) -> None:
    """Not every locale is UTF-8, and models write what they like."""
    upstream.enqueue(story())
    exchange(proxy.port, request(proxy.base_url, "水车"))
    with tail(tmp_path, PYTHONIOENCODING="latin-1") as process:
        next_line(process)
        assert r"\u6c34\u8f66" in next_line(process)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [(["-n", "x"], "'x' is not a valid integer"), (["--status", "done"], "'done' is not one of")],
)
def test_what_cannot_be_meant_is_a_usage_error(
    tmp_path: Path, arguments: list[str], problem: str
) -> None:
    """Exit code 2, before anything is waited for."""
    with tail(tmp_path, *arguments) as process:
        _, stderr = process.communicate()
        assert problem in stderr
        assert process.returncode == 2
