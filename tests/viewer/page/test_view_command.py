"""`tailrace view` as a process: it listens, says where, and ends when it is told to."""

import http.client
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.bundles import BundleBuilder
from tests.support.running_page import UpdateStream
from tests.support.script import GUARD_S
from tests.support.serve_process import REPO_ROOT
from tests.support.view_process import ViewProcess


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """A trace directory with one call."""
    bundle = BundleBuilder(tmp_path / "traces" / "trace-1")
    bundle.turn("t")
    bundle.start("call-1", "t", [])
    bundle.write()
    return tmp_path / "traces"


def run_view(directory: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command, until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "tailrace", "view", *options],
        cwd=directory,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO_ROOT), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=GUARD_S,
    )


def test_ends_cleanly_with_streams_open(traces: Path, tmp_path: Path) -> None:
    """SIGTERM ends it with 0 and no word, though somebody looks."""
    with ViewProcess(traces, tmp_path) as view, UpdateStream(view.port, "") as stream:
        assert stream.status == 200
        assert view.stop() == 0
    assert view.log_path.read_text() == ""


def test_port_in_use_is_told(traces: Path, tmp_path: Path) -> None:
    """The message says which port, and how to have another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_view(tmp_path, "--listen", listen, "--trace-dir", str(traces))
    assert done.returncode == 1
    assert done.stderr == (
        f"tailrace: cannot listen on {listen}: Address already in use;"
        " --listen HOST:PORT chooses another\n"
    )


@pytest.mark.parametrize(
    ("options", "variables", "told"),
    [
        (["--listen", "nowhere"], {}, "--listen = 'nowhere': allowed is HOST:PORT"),
        ([], {"TAILRACE_VIEW_TOKEN": "hunter2"}, "TAILRACE_VIEW_TOKEN = [redacted]: allowed is 16"),
        (["--config", "none.toml"], {}, "--config: 'none.toml'"),
    ],
)
def test_bad_settings_are_told(
    tmp_path: Path, options: list[str], variables: dict[str, str], told: str
) -> None:
    """A usage error names what is wrong; a token is not repeated."""
    done = run_view(tmp_path, *options, **variables)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_beyond_loopback_it_prints_its_token(traces: Path, tmp_path: Path) -> None:
    """The address that is printed is the one to open; without the token there is nothing."""
    view = ViewProcess(traces, tmp_path, listen="0.0.0.0:0")
    with view:
        parts = urlsplit(view.url)
        assert parts.hostname == "127.0.0.1"
        for target, status in (("/", 403), (f"/?{parts.query}", 303)):
            connection = http.client.HTTPConnection("127.0.0.1", view.port, timeout=GUARD_S)
            connection.request("GET", target)
            assert connection.getresponse().status == status
            connection.close()


def test_it_lets_others_go_first(traces: Path, tmp_path: Path) -> None:
    """It runs at a low priority, so that it does not slow the proxy beside it down."""
    with ViewProcess(traces, tmp_path) as view:
        assert os.getpriority(os.PRIO_PROCESS, view.pid) >= 10


def test_it_ends_with_what_started_it(traces: Path, tmp_path: Path) -> None:
    """As a child of serve it ends when the pipe from there is closed, by a crash too."""
    command = [sys.executable, str(REPO_ROOT / "tailrace.py"), "view", "--end-with-stdin"]
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--trace-dir", str(traces)],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.stdin.close()
        assert process.wait(GUARD_S) == 0


def test_ctrl_c_ends_it(traces: Path, tmp_path: Path) -> None:
    """SIGINT is an end like another: no traceback."""
    with ViewProcess(traces, tmp_path) as view:
        os.kill(view.pid, signal.SIGINT)
        assert view.wait() == 0
    assert view.log_path.read_text() == ""
