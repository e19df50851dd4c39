"""What is done in a process of its own: the same as here, and here where there is none."""

import os
import pickle
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from proxy.serve import RECORDER_CLOSE_SECONDS
from tests.support import events as wire
from tests.support.recording import (
    JSON_HEAD,
    Recording,
    answer,
    call_id,
    recording,
    request_head,
)
from tests.support.script import GUARD_S
from tracing import apart
from tracing.apart import Apart, Content, NotRead, is_large
from tracing.call import CallStarted
from tracing.request import read_request
from tracing.strict_json import NotStrictJson, loads_strict
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


Ask = tuple[Callable[..., object], tuple[object, ...], object]


class Helper(Apart):
    """A helper that is asked about one content after the other, and tells what was lost."""

    def __init__(self) -> None:
        self.lost: list[tuple[str, int]] = []
        self.asked = 0
        super().__init__(lambda what, amount: self.lost.append((what, amount)))

    def ask(self, function: Callable[..., Any], *args: object) -> Any:
        """Ask about another content than ever before."""
        self.asked += 1
        return self.run(content(str(self.asked)), function, *args)


def content(call_id: str) -> Content:
    """The body of a call's request, of 7 bytes."""
    return Content(call_id=call_id, what="request_bytes", size=7)


@pytest.fixture
def helper(monkeypatch: pytest.MonkeyPatch) -> Iterator[Helper]:
    """A helper that has all the time it needs, and is ended after the test."""
    monkeypatch.setattr(apart, "ANSWER_SECONDS_MAX", GUARD_S)
    helper = Helper()
    yield helper
    helper.close()


def pid_and(value: object) -> tuple[int, object]:
    """Where this ran, and what it was given."""
    return os.getpid(), value


def exit_at_once() -> None:
    """End the process, as one does that is killed for want of memory."""
    os._exit(1)


def fail_with(text: str) -> None:
    """Fail, as no function should."""
    raise KeyError(text)


def take_memory(size: int) -> int:
    """Have so much of it at once."""
    return len(bytearray(size))


def error_of_parsing(size: int) -> str:
    """What the parser says of so long a text."""
    try:
        loads_strict(b'"' + b"x" * size + b'"')
    except NotStrictJson as error:
        return str(error)
    return "nothing"


def limits() -> tuple[int, int, str]:
    """What the process may have of addresses, may leave in a core file, and how soon it dies."""
    memory, _ = resource.getrlimit(resource.RLIMIT_AS)
    core, _ = resource.getrlimit(resource.RLIMIT_CORE)
    return memory, core, Path("/proc/self/oom_score_adj").read_text().strip()


def test_work_is_done_in_another_process_that_stays(helper: Helper) -> None:
    """What is given and returned is the same; the next one finds the process running."""
    pid, value = helper.ask(pid_and, b"x" * 3_000_000)
    assert (pid != os.getpid(), value) == (True, b"x" * 3_000_000)
    assert helper.ask(pid_and, {"a": [1, None]}) == (pid, {"a": [1, None]})


def test_what_the_other_process_dies_of_is_not_done_here(helper: Helper) -> None:
    """It is counted as lost; the next one has a new process."""
    before, _ = helper.ask(pid_and, 1)
    with pytest.raises(NotRead, match=r"^the process that read it ended, which may take 1408 MiB"):
        helper.ask(exit_at_once)
    assert helper.ask(pid_and, 3)[0] not in {before, os.getpid()}
    os.kill(helper.ask(pid_and, 4)[0], signal.SIGKILL)
    with pytest.raises(NotRead):
        helper.ask(pid_and, 5)
    assert helper.lost == [("request_bytes", 7)] * 2


def test_process_that_hangs_is_not_waited_for(
    helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for its answer nor until it takes the question; no work is done here instead."""
    for question in (b"small", b"larger than what a pipe holds" * 1_000_000):
        pid, _ = helper.ask(pid_and, 1)
        os.kill(pid, signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(apart, "ANSWER_SECONDS_MAX", 0.01)
            with pytest.raises(NotRead, match=r"^it took more than 0\.01 s to read$"):
                helper.ask(pid_and, question)
        assert helper.ask(pid_and, 3)[0] not in {pid, os.getpid()}


def test_what_takes_too_much_memory_is_not_done_here(helper: Helper) -> None:
    """The process ends before the machine has none left; the next one has a new process."""
    with pytest.raises(NotRead, match=r"1408 MiB of memory$"):
        helper.ask(take_memory, apart.MEMORY_BYTES_MAX)
    assert helper.ask(take_memory, 1000) == 1000


def test_process_is_bounded(helper: Helper) -> None:
    """No core file holds secrets, and where memory is short it is the first to be killed."""
    assert helper.ask(limits) == (apart.MEMORY_BYTES_MAX, 0, "1000")


def test_json_is_not_taken_for_text_for_want_of_memory(
    helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its secrets stand where the parser would find them; orjson calls it an error of the JSON."""
    monkeypatch.setattr(apart, "MEMORY_BYTES_MAX", 256 * 1024 * 1024)
    said = helper.ask(error_of_parsing, 24 * 1024 * 1024)

    def refuse(_: bytes) -> None:
        raise NotStrictJson(said)

    monkeypatch.setattr("tracing.request.loads_strict", refuse)
    started = CallStarted(
        call_id=call_id(1),
        head=request_head(),
        arrived_unix_ns=0,
        body=[b"{}"],
        body_bytes=2,
        kept_bytes=0,
        is_whole=True,
    )
    with pytest.raises(MemoryError):
        read_request(started, keep_body=True, decoded_bytes_max=1)


@pytest.mark.parametrize("error", [MemoryError, RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["load", "dump"])
def test_no_answer_is_taken_for_that_to_another_question(
    helper: Helper, monkeypatch: pytest.MonkeyPatch, where: str, error: type[BaseException]
) -> None:
    """Whatever goes wrong between a question and its answer: it ends the process."""
    helper.ask(pid_and, "another call's secret")

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(pickle, where, fail)
        expected = KeyboardInterrupt if error is KeyboardInterrupt else NotRead
        with pytest.raises(expected):
            helper.ask(pid_and, "the secret of the call whose answer is not read")
    assert helper.ask(pid_and, "mine")[1] == "mine"


def test_what_cannot_be_sent_is_lost_alone(helper: Helper) -> None:
    """Half a question would be the beginning of the next one."""
    with pytest.raises(NotRead, match=r"^it could not be read: "):
        helper.ask(pid_and, [b"x" * 1_000_000, lambda: None])
    assert helper.ask(pid_and, "mine")[1] == "mine"


def test_content_is_lost_once_however_often_it_is_asked_for(helper: Helper) -> None:
    """While the disk refuses, the same operation comes again and again."""
    for _ in range(3):
        with pytest.raises(NotRead, match=r"^the process that read it ended"):
            helper.run(content("a"), exit_at_once)
    assert helper.lost == [("request_bytes", 7)]
    assert helper.run(content("b"), pid_and, 1)[1] == 1


def test_what_the_process_says_of_its_errors_is_in_no_log(
    helper: Helper, capfd: pytest.CaptureFixture[str]
) -> None:
    """An exception's text may hold what was read, and nothing there masks it."""
    with pytest.raises(NotRead) as told:
        helper.ask(fail_with, KEY)
    assert KEY not in str(told.value)
    assert capfd.readouterr() == ("", "")


def test_work_is_done_here_where_no_process_can_be_started(
    helper: Helper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on processes is no reason to lose a call, nor is an interpreter that is gone."""
    monkeypatch.setattr(apart, "_CHILD", "raise SystemExit(1)")
    assert helper.ask(pid_and, 1) == (os.getpid(), 1)

    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert helper.ask(pid_and, 1) == (os.getpid(), 1)
    assert helper.lost == []


def test_process_ends_with_the_one_that_asks(helper: Helper) -> None:
    """It reads the end of its questions."""
    helper.ask(pid_and, 1)
    process = helper._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait() == 0


def test_process_is_given_up_before_the_recorder_is() -> None:
    """Else one body would cost, at the end, all the calls that wait behind it."""
    assert apart.ANSWER_SECONDS_MAX < RECORDER_CLOSE_SECONDS


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

    def watched(self: Apart, question: Ask) -> object:
        asked.append(question[0].__name__)
        return ask(self, question)

    monkeypatch.setattr(Apart, "_ask", watched)
    monkeypatch.setattr(apart, "ANSWER_SECONDS_MAX", GUARD_S)
    monkeypatch.setattr(apart, "LARGE_BYTES", -1)
    assert files(tmp_path / "apart", keep_bodies=keep_bodies) == here
    assert asked.count("read_request") == 6
    assert asked.count("read_settled") == 5  # one stream broke off: its capture is read here
    assert KEY.encode() not in b"".join(here.values())
