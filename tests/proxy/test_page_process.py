"""`tailrace serve --view`: a page beside the proxy, that ends with it and costs it nothing."""

import re
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_http import exchange, request_bytes
from tests.support.serve_process import ServeProcess
from tests.support.waiting import wait_until
from tests.support.worker_processes import is_running, kill
from tests.support.worker_streams import HEALTH, is_refused

UPSTREAM = "http://127.0.0.1:9/v1"
PAGE = request_bytes("GET", "http://127.0.0.1/")


def serve_with_page(tmp_path: Path, **settings: Any) -> ServeProcess:
    """A proxy with a page on any free port, unless told otherwise."""
    settings = {"view": "true", "view_listen": "127.0.0.1:0"} | settings
    return ServeProcess(UPSTREAM, tmp_path / "traces", tmp_path, **settings)


def page_port(process: ServeProcess) -> int:
    """The port of the page that is there next."""
    line = process.read_until("The traces as a page: http://127.0.0.1:")
    return int(re.findall(r":(\d+)/", line)[0])


def pages(process: ServeProcess) -> list[int]:
    """The processes that show the page."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--end-with-stdin" in command and str(process.trace_dir).encode() in command:
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_page_lives_as_long_as_the_proxy(tmp_path: Path, workers: int) -> None:
    """One page, whatever the number of workers; SIGTERM ends both, and well."""
    with serve_with_page(tmp_path, workers=workers) as process:
        port = page_port(process)
        answer = exchange(port, PAGE)
        assert answer.head.status == 200
        assert b"No calls yet" in answer.body
        assert len(pages(process)) == 1
        assert process.terminate() == 0
        assert is_refused(port)
        assert pages(process) == []
    assert "no page" not in process.log_path.read_text()


@pytest.mark.parametrize("workers", [1, 2])
def test_page_does_not_outlive_a_crash(tmp_path: Path, workers: int) -> None:
    """A proxy that is killed leaves no page behind."""
    with serve_with_page(tmp_path, workers=workers) as process:
        page_port(process)
        (page,) = pages(process)
        process.kill()
        wait_until(lambda: not is_running(page), "the page ends")


def test_page_that_cannot_be_stops_nothing(tmp_path: Path) -> None:
    """A port in use is told in the log, once; the proxy serves, and ends well."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with serve_with_page(tmp_path, view_listen=listen) as process:
            wait_until(lambda: "no page" in process.log_path.read_text(), "it is told")
            assert exchange(process.port, HEALTH).head.status == 200
            assert process.terminate() == 0
    (line,) = [line for line in process.log_path.read_text().splitlines() if "no page" in line]
    assert f"cannot listen on {listen}: Address already in use" in line


def test_page_that_dies_comes_back(tmp_path: Path) -> None:
    """It is started anew, and the proxy takes no notice."""
    with serve_with_page(tmp_path) as process:
        page_port(process)
        (page,) = pages(process)
        kill(page)
        port = page_port(process)
        assert exchange(port, PAGE).head.status == 200
        assert exchange(process.port, HEALTH).head.status == 200
    assert f"exit code -{signal.SIGKILL:d}" in process.log_path.read_text()


def test_token_is_on_no_command_line_and_in_no_log(tmp_path: Path) -> None:
    """Other users of the machine see command lines; others yet read logs."""
    token = "a-token-that-is-given"
    with serve_with_page(tmp_path, view_token=token) as process:
        line = process.read_until("The traces as a page: ")
        assert line.endswith(f"/?token={token}")
        (page,) = pages(process)
        assert token not in Path(f"/proc/{page}/cmdline").read_text()
        process.terminate()
    assert token not in process.log_path.read_text()
