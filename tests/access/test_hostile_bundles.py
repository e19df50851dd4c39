"""A bundle that somebody else made: no command leaves it, and no terminal obeys it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.serve_process import REPO_ROOT

STEERS = "\x1b[2J\x1b]0;owned\x07\x9b2J\u202egpj.exe\u2066\x7f"
STEERING = frozenset("\x1b\x07\x9b\u202e\u2066\x7f")


def tailrace(*arguments: object, cwd: Path, on_terminal: bool) -> tuple[int, str]:
    """Run a command; its exit code, and what it prints on a terminal or into a pipe."""
    command = [sys.executable, "-m", "tailrace", *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO_ROOT), "TERM": "xterm"}
    ours, its = pty.openpty() if on_terminal else os.pipe()
    process = subprocess.Popen(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=its, stderr=its
    )
    os.close(its)
    printed = _read_to_the_end(ours)
    return process.wait(10), printed.decode("utf-8", "surrogateescape")


def _read_to_the_end(descriptor: int) -> bytes:
    data = b""
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        while True:
            try:
                piece = file.read(65536)
            except OSError:  # how a terminal says that nobody writes any more
                return data
            if not piece:
                return data
            data += piece


def hostile(path: Path) -> BundleBuilder:
    """Every text in it that a command may print would steer a terminal; its last line is torn."""
    bundle = BundleBuilder(path, root_thread=f"root{STEERS}")
    bundle.manifest["producer"] = {"name": "tailrace", "version": STEERS}
    bundle.turn(f"turn{STEERS}")
    request = {"model": STEERS, "input": [message("user", STEERS)], STEERS: STEERS}
    call = f"call{STEERS}"
    bundle.start(call, f"turn{STEERS}", request, proxy={"path": STEERS})
    item = message("assistant", STEERS, id=STEERS, status=STEERS, phase=STEERS)
    proxy = {
        "http_status": 200,
        "outcome": {"protocol": STEERS, "transport": STEERS, "reason": STEERS},
        "partial_items": [{"output_index": 0, "item": item}],
    }
    bundle.complete(call, [item], response_id=STEERS, upstream_request_id=STEERS, proxy=proxy)
    bundle.event(f"event{STEERS}", thread=STEERS)
    bundle.event("inference_started", inference_call_id=STEERS, request_payload=STEERS)
    bundle.raw_line(b'{"torn": "' + STEERS.encode())
    return bundle


COMMANDS = [
    ["reduce", "BUNDLE", "-o", "-"],
    ["reduce", "BUNDLE"],
    ["reduce", f"no{STEERS}"],
    ["reduce", "BUNDLE", "-o", f"no{STEERS}/file"],
    ["verify", "BUNDLE"],
    ["verify", "BUNDLE", "--json"],
    ["verify", f"no{STEERS}"],
    ["recover", "--trace-dir", "."],
    ["recover", "--config", f"no{STEERS}"],
    ["prune", "--trace-dir", ".", "--dry-run"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_no_command_steers_a_terminal(tmp_path: Path, command: list[str]) -> None:
    """Whatever a bundle and its name hold: a terminal is shown escapes."""
    bundle = hostile(tmp_path / f"trace-{STEERS}").write()
    arguments = [bundle.name if part == "BUNDLE" else part for part in command]
    code, printed = tailrace(*arguments, cwd=tmp_path, on_terminal=True)
    assert code in {0, 1, 2}
    assert not STEERING & set(printed), ascii(printed)
    assert "Traceback" not in printed


def test_json_in_a_pipe_is_the_value_on_a_terminal(tmp_path: Path) -> None:
    """The escapes mean what they stand for: programs read the same either way."""
    hostile(tmp_path / "trace-1").write()
    arguments = ("reduce", "trace-1", "-o", "-")
    _, piped = tailrace(*arguments, cwd=tmp_path, on_terminal=False)
    _, shown = tailrace(*arguments, cwd=tmp_path, on_terminal=True)
    assert json.loads(piped) == json.loads(shown)
    assert STEERING & set(piped)


def test_summary_of_a_run_does_not_steer_a_terminal(tmp_path: Path) -> None:
    """What `run` and `demo` print of the calls; colours are ours, and all that is left."""
    bundle = hostile(tmp_path / "trace-1").write()
    program = (
        "import sys; from pathlib import Path; from rich.console import Console;"
        "from viewer.summary import tell_calls;"
        "tell_calls([Path(sys.argv[1])], Console(color_system=None))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, bundle],
        cwd=REPO_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not STEERING & set(done.stdout)
    assert "owned" in done.stdout


LINKED = [("payloads", "streams"), ("trace.jsonl",), ("manifest.json",), ("torn",), ("state.json",)]


@pytest.mark.parametrize("command", ["reduce", "recover", "verify"])
@pytest.mark.parametrize("linked", LINKED, ids=lambda names: names[0])
def test_no_command_writes_outside_the_bundle(
    tmp_path: Path, command: str, linked: tuple[str, ...]
) -> None:
    """Links in it to what lies beside it: that stays as it was, and nothing is put there."""
    bundle = hostile(tmp_path / "traces" / "trace-1").write()
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "state.json").write_text("beside-content")
    for name in linked:
        if name == "torn":
            torn_at = (bundle / "trace.jsonl").read_bytes().rindex(b"\n", 0, -1) + 1
            (bundle / f"torn-{torn_at}.bin").symlink_to(beside / "state.json")
        elif name == "state.json":
            (bundle / name).symlink_to(beside / name)
        else:
            if (bundle / name).exists():
                (bundle / name).rename(beside / name)
            (bundle / name).symlink_to(beside / name)
    before = contents(beside)
    arguments = ["--trace-dir", bundle.parent] if command == "recover" else [bundle]
    code, printed = tailrace(command, *arguments, cwd=tmp_path, on_terminal=False)
    assert code in {0, 1}
    assert "Traceback" not in printed
    assert "beside-content" not in printed
    assert contents(beside) == before
    if command == "reduce":
        assert b"beside-content" not in (bundle / "state.json").read_bytes()


def contents(directory: Path) -> dict[str, bytes]:
    """Every file below it."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
