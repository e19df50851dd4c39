"""What workers and their parent are made of: settings, the port, the link, the parent's log."""

import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from proxy.listening import CannotServeError, SharedPort, open_listeners
from proxy.logs import configure_logs_without_thread
from proxy.settings import Settings
from proxy.settings_sources import SettingsError, load_settings
from proxy.worker_link import Wish, new_link


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    """Logging belongs to the process: what a test configures must not reach the next."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ("0", "greater than or equal to 1"),
        ("65", "less than or equal to 64"),
        ("two", "a valid integer"),
        ("1.5", "a valid integer"),
        ("", "a valid integer"),
    ],
)
def test_number_of_workers_is_checked(tmp_path: Path, value: str, allowed: str) -> None:
    """The message names the flag, what it was and what is allowed."""
    with pytest.raises(SettingsError, match=f"^--workers = '{value}': allowed is .*{allowed}"):
        load_settings({"workers": value}, environ={}, cwd=tmp_path)


def test_number_of_workers_comes_from_anywhere(tmp_path: Path) -> None:
    """Flag, variable, file."""
    (tmp_path / "tailrace.toml").write_text("workers = 2\n")
    assert load_settings({}, environ={}, cwd=tmp_path).workers == 2
    environ = {"TAILRACE_WORKERS": "3"}
    assert load_settings({}, environ=environ, cwd=tmp_path).workers == 3
    assert load_settings({"workers": "4"}, environ=environ, cwd=tmp_path).workers == 4


def test_shared_port_needs_an_option_that_not_every_system_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error says what is missing and what works without it."""
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(CannotServeError, match=r"4 workers: .*SO_REUSEPORT.*--workers 1"):
        SharedPort(Settings(listen="127.0.0.1:0", workers=4))


def test_listeners_of_all_workers_have_the_port_that_the_first_got() -> None:
    """Port 0 is any free one, and the same for all, on every address of the host."""
    with SharedPort(Settings(listen="localhost:0", workers=3)) as port:
        first = {listener.getsockname() for listener in port.listeners(1)}
        assert port.address in {name[:2] for name in first}
        for worker in (2, 3):
            assert {listener.getsockname() for listener in port.listeners(worker)} == first


def test_port_is_left_to_the_others_while_there_are_any() -> None:
    """The last listener stays: it keeps the port."""
    settings = Settings(listen="127.0.0.1:0", workers=2)
    with SharedPort(settings) as port:
        taken = settings.model_copy(update={"listen": f"127.0.0.1:{port.address[1]}"})
        (second,) = port.listeners(2)
        port.leave_to_others(1)
        port.leave_to_others(2)
        assert second.fileno() >= 0
        with pytest.raises(CannotServeError, match="Address already in use"):
            open_listeners(taken)
        (again,) = port.listeners(1)
        assert again.getsockname() == second.getsockname()
    for listener in open_listeners(taken):
        listener.close()


def test_host_that_is_none_is_told() -> None:
    """The message has the reason of the resolver, not its number taken for another's."""
    settings = Settings(listen="no-such-host.invalid:0")
    with pytest.raises(CannotServeError, match=r"cannot listen on no-such-host\.invalid:0: \w+"):
        open_listeners(settings)


def test_link_tells_the_parent_how_the_worker_fares() -> None:
    """Ready, or why not; and its end when it has gone."""
    parent, worker = new_link()
    parent.hear()
    assert (parent.is_ready, parent.failure, parent.is_open) == (False, None, True)
    worker.say_ready()
    parent.hear()
    assert (parent.is_ready, parent.failure, parent.is_open) == (True, None, True)
    worker.close()
    parent.hear()
    assert (parent.is_ready, parent.is_open) == (True, False)
    parent.stop()  # to nobody
    parent.close()
    parent, worker = new_link()
    worker.say_failed("no such file")
    worker.close()
    parent.hear()
    assert (parent.is_ready, parent.failure) == (False, "no such file")
    parent.close()


def test_link_tells_the_worker_what_the_parent_wants() -> None:
    """The most urgent of what was said, and that the parent has gone."""
    parent, worker = new_link()
    assert worker.hear() is None
    parent.stop()
    assert worker.hear() is Wish.STOP
    parent.stop()
    parent.hurry()
    assert worker.hear() is Wish.HURRY
    parent.close()
    assert worker.hear() is Wish.GONE
    worker.say_ready()  # to nobody
    worker.close()


@pytest.mark.usefixtures("_logging_as_before")
def test_stuck_log_does_not_stop_the_parent() -> None:
    """What the stream does not take at once is dropped, and the next line says how many were."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "w") as stream:
        configure_logs_without_thread("info", stream=stream, is_terminal=False)
        log = structlog.get_logger()
        log.info("first")
        os.set_blocking(writing, False)
        filled = 0
        while True:
            try:
                filled += os.write(writing, b"x" * 4096)
            except BlockingIOError:
                break
        os.set_blocking(writing, True)
        log.info("second")
        log.info("third")
        first = json.loads(reader.readline())
        reader.read(filled)
        log.info("fourth")
        fourth = json.loads(reader.readline())
    assert first["event"] == "first"
    assert "worker" not in first
    assert (fourth["event"], fourth["log_lines_lost"]) == ("fourth", 2)
