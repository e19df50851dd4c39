"""Log lines: safe to print, silent about exceptions' text, and never in the way."""

import asyncio
import io
import json
import logging
import re
import threading
from collections.abc import Iterator

import pytest
import structlog

from proxy.logs import LINES_WAITING_MAX, LineWriter, configure_logs

SECRET = "sk-live-0123456789"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Logging belongs to the process: what a test configures must not reach the next."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


class Lines:
    """Logs configured to end up here."""

    def __init__(self, level: str = "info", *, is_terminal: bool = False) -> None:
        self._stream = io.StringIO()
        self._writer = configure_logs(level, stream=self._stream, is_terminal=is_terminal)

    def text(self) -> str:
        """All that was logged so far."""
        self._writer.flush()
        return self._stream.getvalue()

    def only(self) -> dict[str, object]:
        """The one line that was logged, as JSON."""
        (line,) = self.text().splitlines()
        parsed = json.loads(line)
        assert isinstance(parsed, dict)
        return parsed


def fail_with_secrets() -> None:
    """Raise an exception that tells a secret, from another that does."""
    raise ValueError(SECRET) from ConnectionResetError(104, f"bad header: {SECRET}")


def test_a_line_is_one_json_object_when_nobody_reads_it_on_a_terminal() -> None:
    """With the level, the time in UTC, and the values as they were given."""
    lines = Lines()
    structlog.get_logger().info("call ended", status="completed", ms=1.5, http_status=200)
    line = lines.only()
    assert str(line.pop("timestamp")).endswith("Z")
    assert line == {
        "event": "call ended",
        "level": "info",
        "status": "completed",
        "ms": 1.5,
        "http_status": 200,
    }


def test_a_line_on_a_terminal_is_for_people() -> None:
    """Name and value, in colour."""
    lines = Lines(is_terminal=True)
    structlog.get_logger().info("call ended", status="completed")
    assert "call ended" in lines.text()
    assert "\x1b[" in lines.text()
    assert "{" not in lines.text()


def test_lines_below_the_level_are_not_written() -> None:
    """`run` shows warnings alone while the command has the terminal."""
    lines = Lines("warning")
    structlog.get_logger().info("call ended")
    assert lines.text() == ""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_text_steers_a_terminal_or_breaks_a_line(is_terminal: bool) -> None:
    """What a model or a header says is shown, with escapes for what is not printable."""
    hostile = "\x1b[2J\n\r\x07\x7f\x9b\u202e\ud800"
    lines = Lines(is_terminal=is_terminal)
    structlog.get_logger().info(
        hostile, said=hostile, many=[hostile], raw=hostile.encode("utf-8", "replace")
    )
    without_colours = re.sub(r"\x1b\[\d*m", "", lines.text())
    assert without_colours.removesuffix("\n").isprintable()
    assert without_colours.count("x1b[2J") == 4


def test_a_long_value_is_cut() -> None:
    """A header may be 60 KiB."""
    lines = Lines()
    structlog.get_logger().info("x", said="a" * 60_000)
    assert lines.only()["said"] == "a" * 500


def test_an_exception_is_told_by_type_and_place_not_by_its_text() -> None:
    """Its text may hold bytes of a request; that of the one that it came from too."""
    lines = Lines()
    try:
        fail_with_secrets()
    except ValueError:
        structlog.get_logger().exception("relay failed")
    assert SECRET not in lines.text()
    line = lines.only()
    assert line["error"] == "ValueError from ConnectionResetError (Connection reset by peer)"
    assert "proxy/test_logs.py:" in str(line["error_at"])


@pytest.mark.parametrize("library", ["aiohttp.server", "asyncio", "some.other"])
def test_a_library_that_logs_is_heard_but_not_quoted(library: str) -> None:
    """aiohttp echoes a bad header's bytes, asyncio the text of exceptions."""
    lines = Lines()
    try:
        fail_with_secrets()
    except ValueError:
        logging.getLogger(library).exception("Got %r " + SECRET, SECRET.encode())
    assert SECRET not in lines.text()
    line = lines.only()
    assert (line["library"], line["level"], str(line["error"]).split()[0]) == (
        library,
        "error",
        "ValueError",
    )
    assert str(line["at"]).startswith("proxy/test_logs.py:")


def test_what_a_library_merely_notes_is_not_written() -> None:
    """Its warnings are; aiohttp's access log would repeat ours."""
    lines = Lines("info")
    logging.getLogger("aiohttp.access").info("GET /")
    assert lines.text() == ""


def test_a_task_that_nobody_awaited_is_told_without_its_text() -> None:
    """asyncio puts the exception's text into the message itself."""
    lines = Lines()

    async def fail() -> None:
        raise ValueError(SECRET)

    async def forget() -> None:
        task = asyncio.ensure_future(fail())
        await asyncio.wait([task])

    asyncio.run(forget())
    assert SECRET not in lines.text()
    assert lines.only()["library"] == "asyncio"


def test_configuring_again_replaces_what_was_before() -> None:
    """No line is written twice."""
    first = Lines()
    second = Lines()
    logging.getLogger("some").warning("x")
    assert first.text() == ""
    assert second.only()["library"] == "some"


class StuckStream(io.StringIO):
    """A terminal after Ctrl-S: it takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.taking = threading.Event()
        self.go_on = threading.Event()

    def write(self, text: str) -> int:
        self.taking.set()
        self.go_on.wait()
        return super().write(text)


def test_a_stuck_stream_holds_nothing_up_and_what_was_lost_is_told() -> None:
    """Lines are dropped and counted; the first that gets through says how many."""
    stream = StuckStream()
    writer = configure_logs("info", stream=stream, is_terminal=False)
    log = structlog.get_logger()
    log.info("begins")
    stream.taking.wait()
    for _ in range(LINES_WAITING_MAX + 3):
        log.info("x")
    stream.go_on.set()
    writer.flush(10)
    log.info("goes on")
    writer.flush(10)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 1 + LINES_WAITING_MAX + 1
    assert [line.get("log_lines_lost") for line in lines if "log_lines_lost" in line] == [3]
    assert lines[-1]["log_lines_lost"] == 3


class FailingStream(io.StringIO):
    """A pipe whose reader is gone, for one line."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = True

    def write(self, text: str) -> int:
        if self.fails:
            self.fails = False
            raise BrokenPipeError
        return super().write(text)


def test_a_stream_that_fails_is_no_error_of_ours() -> None:
    """The reader of our log may be gone for a while: the lines of that while are lost."""
    stream = FailingStream()
    writer = LineWriter(stream)
    writer.msg("lost")
    writer.msg("kept")
    writer.flush(10)
    assert stream.getvalue() == "kept\n"
