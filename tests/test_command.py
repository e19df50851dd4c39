"""The command line, as a user meets it: what it prints where, and its exit codes."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from tests.support.bundles import BundleBuilder, message
from tests.support.events import sse_pieces, text_stream
from tests.support.raw_bundle import only_event
from tests.support.script import Reply
from tests.support.scripted_upstream import ScriptedUpstream

REPO_ROOT = Path(__file__).resolve().parents[1]

ONE_CALL = """
import os, urllib.request
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/responses",
    data=b'{"model": "m", "input": "Hi", "stream": true}',
    headers={"content-type": "application/json"},
)
print(urllib.request.urlopen(request).read().decode().count("event:"))
"""


def environment(**variables: str) -> dict[str, str]:
    """Ours, without what steers tailrace or a client, with these variables."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("TAILRACE_", "OPENAI_", "COLUMNS", "FORCE_COLOR"))
        and not name.lower().endswith("_proxy")
    }
    return ours | {"PYTHONPATH": str(REPO_ROOT)} | variables


def start(*args: str | Path, cwd: Path, **variables: str) -> subprocess.Popen[str]:
    """Start the command in a process group of its own, as a shell does."""
    return subprocess.Popen(
        [sys.executable, "-m", "tailrace", *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(**variables),
        start_new_session=True,
    )


def run(*args: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    process = start(*args, cwd=cwd, **variables)
    stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(args, process.returncode, stdout, stderr)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of one call."""
    builder = BundleBuilder(tmp_path / "bundle")
    builder.turn("turn")
    builder.start("call", "turn", [message("user", "Hi")])
    builder.complete("call", [message("assistant", "Hello")], response_id="resp_1")
    builder.end()
    return builder.write()


def test_version_and_help_are_printed(tmp_path: Path) -> None:
    """On stdout, exit 0; the help names the commands."""
    version = run("--version", cwd=tmp_path)
    assert (version.returncode, version.stdout.split()[0]) == (0, "tailrace")
    shown = run("--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert {"serve", "run", "demo", "reduce", "recover"} <= set(shown.stdout.split())


def test_bad_usage_is_exit_code_2(tmp_path: Path) -> None:
    """No command, an unknown one, and a missing argument."""
    assert run("no-such", cwd=tmp_path).returncode == 2
    assert run("reduce", cwd=tmp_path).returncode == 2
    assert run("run", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("command", [["serve"], ["run", "true"], ["recover"]])
def test_bad_settings_are_told_in_plain_lines(tmp_path: Path, command: list[str]) -> None:
    """Exit code 2, one line for each problem, nothing on stdout, no traceback."""
    (tmp_path / "tailrace.toml").write_text("listn = 1\nflush_interval = 9\n")
    done = run(*command, cwd=tmp_path, TAILRACE_PORT="tcp://10.0.0.1:80")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "tailrace: warning: 'TAILRACE_PORT' is the name of no setting, so it is ignored",
        "tailrace: tailrace.toml: flush_interval = 9: allowed is less than or equal to 1",
        "tailrace: tailrace.toml: listn: no setting is called that (did you mean listen?)",
    ]


def test_reduce_writes_the_state_into_the_bundle(tmp_path: Path, bundle: Path) -> None:
    """Readable by its owner alone, silently, and the same when it is done again."""
    done = run("reduce", bundle, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    state = bundle / "state.json"
    first = state.read_bytes()
    assert json.loads(first)["inference_calls"]["call"]["response_id"] == "resp_1"
    assert stat.S_IMODE(state.stat().st_mode) == 0o600
    run("reduce", bundle, cwd=tmp_path)
    assert state.read_bytes() == first
    assert sorted(path.name for path in bundle.iterdir()) == [
        "manifest.json",
        "payloads",
        "state.json",
        "trace.jsonl",
    ]


def test_reduce_writes_elsewhere_or_prints(tmp_path: Path, bundle: Path) -> None:
    """`-o FILE` and `-o -`, the same bytes; the bundle stays as it was."""
    assert run("reduce", bundle, "-o", "out.json", cwd=tmp_path).returncode == 0
    printed = run("reduce", bundle, "-o", "-", cwd=tmp_path)
    assert printed.stdout == (tmp_path / "out.json").read_text()
    assert not (bundle / "state.json").exists()


def test_reduce_of_what_is_no_bundle_is_exit_code_1(tmp_path: Path) -> None:
    """With one line that says so, and nothing written."""
    (tmp_path / "empty").mkdir()
    for path in ("empty", "missing"):
        done = run("reduce", path, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("tailrace: ")
    assert list((tmp_path / "empty").iterdir()) == []


def test_reduce_that_cannot_write_is_exit_code_1(tmp_path: Path, bundle: Path) -> None:
    """With the path and the system's reason."""
    done = run("reduce", bundle, "-o", "no/such/dir.json", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "tailrace: no/such/dir.json: cannot be written: No such file or directory\n"
    )


@pytest.mark.parametrize("command", ["reduce", "recover"])
def test_a_command_that_reads_loads_no_http_server(
    tmp_path: Path, bundle: Path, command: str
) -> None:
    """It starts faster, and works where no proxy could."""
    arguments = [command, str(bundle)] if command == "reduce" else [command]
    script = (
        "import sys, tailrace\n"
        f"tailrace.main({arguments!r}, standalone_mode=False)\n"
        "print([name for name in ('aiohttp', 'openai', 'rich') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_recover_seals_a_dead_bundle_and_says_so(tmp_path: Path) -> None:
    """One line for each bundle; a second time there is nothing left to do."""
    builder = BundleBuilder(tmp_path / "traces" / "trace-1")
    builder.manifest["producer"] = {"name": "tailrace"}
    builder.turn("turn")
    builder.start(str(UUID(int=1)), "turn", [message("user", "Hi")])
    builder.write()
    with (tmp_path / "traces" / "trace-1" / "trace.jsonl").open("ab") as log:
        log.write(b'{"schema_')
    done = run("recover", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (
        0,
        "traces/trace-1: sealed, 1 call aborted, 9 torn bytes set aside\n",
    )
    again = run("recover", "--trace-dir", tmp_path / "traces", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, "")


def test_recover_of_what_is_no_directory(tmp_path: Path) -> None:
    """Told on stderr, with exit code 1, as what cannot be read is elsewhere."""
    (tmp_path / "file").touch()
    done = run("recover", "--trace-dir", "file", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "tailrace: file: cannot be read: Not a directory\n"


def test_serve_says_what_to_set_and_ends_in_order(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """The start screen on stdout, JSON lines on stderr, exit 0 after SIGTERM."""
    base_url = f"{upstream.url}/v1"
    arguments = ("serve", "--listen", "127.0.0.1:0", "--upstream", base_url)
    with start(*arguments, cwd=tmp_path) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        assert first.startswith("tailrace ")
        assert " listens on http://127.0.0.1:" in first
        process.send_signal(signal.SIGTERM)
        assert base_url in process.stdout.read()
        log = [json.loads(line) for line in process.stderr]
    assert process.returncode == 0
    assert [line["event"] for line in log] == ["shutting down"]


def test_run_passes_output_and_exit_code_on(tmp_path: Path) -> None:
    """stdout is the command's alone; ours goes to stderr."""
    done = run("run", "--", "sh", "-c", "echo out; echo err >&2; exit 7", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr == "err\nNo call was traced.\n"


def test_run_leaves_the_commands_flags_to_it(tmp_path: Path) -> None:
    """With `--` or without, what follows the command's name is its own."""
    done = run("run", "echo", "--upstream", "x", "-h", cwd=tmp_path)
    assert done.stdout == "--upstream x -h\n"


def test_run_traces_what_the_command_calls(tmp_path: Path, upstream: ScriptedUpstream) -> None:
    """OPENAI_BASE_URL as it was is the upstream; the summary names the call and the bundle."""
    events = sse_pieces(*text_stream("Hel", "lo", response_id="resp_1"))
    sse = ((b"content-type", b"text/event-stream"), (b"x-request-id", b"req_1"))
    upstream.enqueue(Reply(headers=sse, body=events))
    done = run(
        "run",
        "--",
        sys.executable,
        "-c",
        ONE_CALL,
        cwd=tmp_path,
        OPENAI_BASE_URL=f"{upstream.url}/v1",
        HTTP_PROXY="http://127.0.0.1:9",
    )
    assert (done.returncode, done.stdout) == (0, f"{len(events)}\n")
    (bundle,) = (tmp_path / "traces").iterdir()
    lines = done.stderr.splitlines()
    assert lines[0].split() == ["1", "completed", "200", "m"]
    assert "    response     resp_1" in lines
    assert "    request      req_1" in lines
    short_id = only_event(bundle, "inference_started")["inference_call_id"][-8:]
    assert lines[-4:] == [
        f"1 call in traces/{bundle.name}",
        f"  python -m tailrace show {short_id}",
        "  python -m tailrace ls",
        "  python -m tailrace view",
    ]


@pytest.mark.parametrize(
    ("command", "exit_code", "reason"),
    [("no-such-command", 127, "command not found"), ("/", 126, "Permission denied")],
)
def test_run_tells_why_a_command_did_not_run(
    tmp_path: Path, command: str, exit_code: int, reason: str
) -> None:
    """With a shell's exit codes."""
    done = run("run", "--", command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert done.stderr == f"tailrace: {command}: {reason}\n"


def test_run_is_exit_code_125_where_the_proxy_cannot_start(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    """The command is not run at all: it would call past us."""
    taken = f"127.0.0.1:{upstream.port}"
    done = run("run", "--listen", taken, "--", "touch", "ran", cwd=tmp_path)
    assert done.returncode == 125
    assert done.stderr.startswith(f"tailrace: cannot listen on {taken}: ")
    assert not (tmp_path / "ran").exists()


WAITS = (
    "import signal, sys\n"
    "signal.signal(signal.SIGINT, lambda *_: sys.exit(9))\n"
    "print('waiting', flush=True)\n"
    "signal.pause()\n"
)


def test_run_leaves_ctrl_c_to_the_command(tmp_path: Path) -> None:
    """A terminal sends SIGINT to both; the command decides, and we still end in order."""
    process = start("run", "--", sys.executable, "-c", WAITS, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate()
    assert (process.returncode, stderr) == (9, "No call was traced.\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_run_passes_a_signal_on(tmp_path: Path, number: signal.Signals) -> None:
    """What is sent to us alone is meant for the command."""
    process = start("run", "--", sys.executable, "-c", WAITS, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)  # sent to us alone, it changes nothing
    process.send_signal(number)
    process.communicate()
    assert process.returncode == 128 + number


def test_demo_shows_each_kind_of_call(tmp_path: Path) -> None:
    """Streamed, chained, not streamed, refused and retried, dropped: six calls in one bundle."""
    done = run("demo", cwd=tmp_path, HTTP_PROXY="http://127.0.0.1:9")
    assert (done.returncode, done.stderr) == (0, "")
    (bundle,) = (tmp_path / "traces").iterdir()
    lines = done.stdout.splitlines()
    summary = lines[lines.index("What tailrace saw:") :]
    heads = [line.split() for line in summary if line[:2].strip().isdigit() and line[2:4] == "  "]
    assert heads == [
        ["1", "completed", "200", "gpt-5.2"],
        ["2", "completed", "200", "gpt-5.2"],
        ["3", "completed", "200", "gpt-5.2"],
        ["4", "failed", "429", "gpt-5.2"],
        ["5", "completed", "200", "gpt-5.2", "retry", "1"],
        ["6", "cancelled", "200", "gpt-5.2"],
    ]
    assert f"6 calls in traces/{bundle.name}" in lines
    assert any(line.startswith("    partial text Once upon a time") for line in lines)
    cancelled = only_event(bundle, "inference_cancelled")
    next_steps = ["Next:", *("show " + cancelled["inference_call_id"][-8:], "ls", "view", "serve")]
    assert [line.removeprefix("  python -m tailrace ") for line in lines[-5:]] == next_steps
    assert max(len(line) for line in lines if bundle.name not in line) <= 80


def test_demo_says_what_to_install_where_the_sdk_is_missing(tmp_path: Path) -> None:
    """It is an extra: the proxy itself does not need it."""
    (tmp_path / "openai.py").write_text("raise ImportError('no openai')\n")
    done = run("demo", cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{REPO_ROOT}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "tailrace: the demo needs the openai SDK: pip install 'tailrace[demo]'\n"
    )
    assert not (tmp_path / "traces").exists()
