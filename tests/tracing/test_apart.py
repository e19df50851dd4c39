"""What is done in a process of its own: the same as here, and here where there is none."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest
import zstandard

from tests.support import events as wire
from tests.support.recording import JSON_HEAD, Recording, answer, recording
from tracing import apart
from tracing.apart import Apart, is_large
from tracing.terminal import TransportEnd

KEY = "sk-proj-abcdefghijklmnopqrstuvwx"
ANSWER = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [wire.message_item(f"Your key is {KEY}")],
    "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
}
REQUEST = {"model": "m", "input": [], "tools": [{"type": "mcp", "authorization": KEY}]}


@pytest.fixture
def helper() -> Iterator[Apart]:
    """A helper, which is ended after the test."""
    helper = Apart()
    yield helper
    helper.close()


def pid_and(value: object) -> tuple[int, object]:
    """Where this ran, and what it was given."""
    return os.getpid(), value


def fail_elsewhere(home: int) -> str:
    """End the process, unless it is this one."""
    if os.getpid() != home:
        os._exit(1)
    return "done here"


def test_work_is_done_in_another_process_that_stays(helper: Apart) -> None:
    """What is given and returned is the same; the next one finds the process running."""
    pid, value = helper.run(pid_and, b"x" * 3_000_000)
    assert (pid != os.getpid(), value) == (True, b"x" * 3_000_000)
    assert helper.run(pid_and, {"a": [1, None]}) == (pid, {"a": [1, None]})


def test_work_is_done_here_where_the_other_process_dies(helper: Apart) -> None:
    """It costs a pause, and nothing else; the next one has a new process."""
    before, _ = helper.run(pid_and, 1)
    os.kill(before, signal.SIGKILL)
    assert helper.run(pid_and, 2) == (os.getpid(), 2)
    assert helper.run(fail_elsewhere, os.getpid()) == "done here"
    assert helper.run(pid_and, 3)[0] not in {before, os.getpid()}


def test_work_is_done_here_where_the_other_process_hangs(
    helper: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it for ever."""
    pid, _ = helper.run(pid_and, 1)
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(apart, "ANSWER_SECONDS_MAX", 0.01)
    assert helper.run(pid_and, 2) == (os.getpid(), 2)


def test_work_is_done_here_where_no_process_can_be_started(
    helper: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on processes is no reason to lose a call."""

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert helper.run(pid_and, 1) == (os.getpid(), 1)


def test_process_ends_with_the_one_that_asks() -> None:
    """It reads the end of its questions."""
    helper = Apart()
    helper.run(pid_and, 1)
    process = helper._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait() == 0
    assert process.stdout is not None
    process.stdout.close()


def test_large_is_more_than_two_mebibytes() -> None:
    """What is smaller is not worth the way."""
    assert (is_large(2 * 1024 * 1024), is_large(2 * 1024 * 1024 + 1)) == (False, True)


def record_calls(record: Recording) -> None:
    """A call of each way to end, and of each way to send a request."""
    authorization = ((b"Authorization", f"Bearer {KEY}".encode()),)
    zstd = (*authorization, (b"Content-Encoding", b"zstd"))
    record.call(wire.sse(*wire.text_stream("Hel", "lo", KEY)), body=REQUEST, headers=authorization)
    record.call(wire.sse(*wire.text_stream("Hel", "lo")[:-1]), body=b'{"cut": ')
    encoded = zstandard.compress(orjson.dumps(REQUEST))
    answer(record.ask(encoded, headers=zstd), [orjson.dumps(ANSWER)], headers=JSON_HEAD)
    error = orjson.dumps({"error": {"message": f"no such key: {KEY}", "code": "invalid"}})
    answer(record.ask(headers=authorization), [error], status=401, headers=JSON_HEAD)
    failed = orjson.dumps({**ANSWER, "status": "failed"})
    answer(record.ask(), [failed[:50]], headers=JSON_HEAD, end=TransportEnd.UPSTREAM_ERROR)
    answer(record.ask(REQUEST), [failed], headers=JSON_HEAD)


def files(trace_dir: Path, **settings: bool) -> dict[str, bytes]:
    """All that is in the bundle of such calls."""
    with recording(trace_dir, **settings) as record:
        record_calls(record)
        (bundle,) = record.close()
    return {str(p.relative_to(bundle)): p.read_bytes() for p in bundle.rglob("*") if p.is_file()}


@pytest.mark.parametrize("keep_bodies", [True, False])
def test_bundle_is_the_same_wherever_it_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, keep_bodies: bool
) -> None:
    """To the byte: what was large is recorded as what was small."""
    here = files(tmp_path / "here", keep_bodies=keep_bodies)
    asked: list[str] = []
    ask = Apart._ask

    def watched(
        self: Apart, question: tuple[Callable[..., object], tuple[object, ...], object]
    ) -> object:
        asked.append(question[0].__name__)
        return ask(self, question)

    monkeypatch.setattr(Apart, "_ask", watched)
    monkeypatch.setattr(apart, "LARGE_BYTES", -1)
    assert files(tmp_path / "apart", keep_bodies=keep_bodies) == here
    assert asked.count("read_request") == 6
    assert asked.count("read_settled") == 5  # one stream broke off: its capture is read here
    assert KEY.encode() not in b"".join(here.values())
