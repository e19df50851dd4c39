"""Other programs that keep what passes, where they are installed: how each is started.

Each writes what it sees: a proxy that keeps nothing would be another thing.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from .process import CannotStartError, Process, free_port, wait_until_it_listens

CODEX_SERVER_INFO = "server.json"
START_SECONDS = 20.0

Started = tuple[Process, int]


def version_of(command: str, *args: str) -> str | None:
    """Return what a program says of its version; None where it is not installed."""
    found = shutil.which(command)
    if found is None:
        return None
    told = subprocess.run([found, *args], capture_output=True, text=True, check=False, timeout=60)
    lines = (told.stdout or told.stderr).strip().splitlines()
    return lines[0].split()[-1] if lines else "?"


def start_mitmproxy(upstream_port: int, work_dir: Path, cores: Collection[int] | None) -> Started:
    """Start mitmdump as a reverse proxy that streams, and writes its flows with their bodies."""
    port = free_port()
    command = [
        *("mitmdump", "--quiet", "--mode", f"reverse:http://127.0.0.1:{upstream_port}"),
        *("--listen-host", "127.0.0.1", "--listen-port", str(port)),
        *("--set", "stream_large_bodies=1", "--set", "store_streamed_bodies=true"),
        *("--set", f"confdir={work_dir / 'confdir'}", "--save-stream-file", "flows"),
    ]
    return _started(command, work_dir, "mitmproxy", port, cores)


def start_claude_tap(upstream_port: int, work_dir: Path, cores: Collection[int] | None) -> Started:
    """Start claude-tap as a proxy alone, for Codex's traffic."""
    port = free_port()
    command = [
        *("claude-tap", "--tap-no-launch", "--tap-client", "codex", "--tap-port", str(port)),
        *("--tap-target", f"http://127.0.0.1:{upstream_port}/v1", "--tap-no-live"),
        *("--tap-host", "127.0.0.1"),
    ]
    return _started(["env", f"HOME={work_dir}", *command], work_dir, "claude-tap", port, cores)


def start_codex(upstream_port: int, work_dir: Path, cores: Collection[int] | None) -> Started:
    """Start Codex's own proxy, which dumps each request and response."""
    url = f"http://127.0.0.1:{upstream_port}/v1/responses"
    command = [
        *("codex", "responses-api-proxy", "--upstream-url", url),
        *("--server-info", CODEX_SERVER_INFO, "--dump-dir", "dumps"),
    ]
    process = Process.start(command, work_dir, "codex", cores=cores)
    process.write_line("sk-bench-key-0123456789abcdef")
    info = work_dir / CODEX_SERVER_INFO
    deadline = time.monotonic() + START_SECONDS
    while not (info.is_file() and info.read_text().endswith("\n")):
        if process.popen.poll() is not None or time.monotonic() > deadline:
            process.stop()
            raise CannotStartError(f"codex did not start: {process.log.read_text()[-1000:]}")
        time.sleep(0.01)
    return process, int(json.loads(info.read_text())["port"])


def _started(
    command: Sequence[str], work_dir: Path, name: str, port: int, cores: Collection[int] | None
) -> Started:
    process = Process.start(command, work_dir, name, cores=cores)
    try:
        wait_until_it_listens(process, port)
    except BaseException:
        process.stop()
        raise
    return process, port
