"""`tailrace ls`, as a person, a pipe and a script meet it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from proxy.settings import Settings
from tailrace import DEFAULT_TRACES, main
from tests.support.bundles import BundleBuilder, message
from tests.support.pseudo_terminal import PseudoTerminal
from tests.support.recording import Clock, Recording
from viewer.terminal.call_table import HEADER

from .written_traces import (
    write_codex_bundle,
    write_damaged_bundle,
    write_hostile_bundle,
    write_own_bundle,
)

REPO_ROOT = Path(__file__).resolve().parents[3]


pytestmark = pytest.mark.usefixtures("in_one_place")


def ls(*arguments: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["ls", *map(str, arguments)], catch_exceptions=False)


def listed(*arguments: str | Path) -> list[str]:
    """The calls that it lists, by their ids."""
    done = ls("--json", *arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    return [json.loads(line)["inference_call_id"] for line in done.stdout.splitlines()]


def test_pipe_gets_plain_lines(traces: Path) -> None:
    """A line of names, then one for each call, newest first; nothing is cut."""
    done = ls()
    assert (done.exit_code, done.stderr) == (0, "")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert lines[0] == list(HEADER)
    assert [line[10] for line in lines[1:]] == [
        "call-left",
        "call-again",
        "call-first",
        "call-hello",
    ]
    assert lines[4] == [
        *("2023-11-14T22:13:20", "completed", "200", "-", "m", "200.2", "1201.0"),
        *("1200", "1000", "50", "call-hello", "resp_hello", "req_hello"),
        *("1", "Say hello", "Hello to you"),
    ]
    assert lines[3][1:4] == ["failed", "429", "http 429: slow down"]


def test_script_gets_the_states_keys(traces: Path) -> None:
    """An object a line: ids, times and usage as in state.json, what is ours under `proxy`."""
    calls = [json.loads(line) for line in ls("--json").stdout.splitlines()]
    left, again, _, hello = calls
    proxy = hello.pop("proxy")
    assert hello == {
        "inference_call_id": "call-hello",
        "thread_id": "talk",
        "codex_turn_id": "t",
        "execution": {
            "started_at_unix_ms": 1_700_000_000_040,
            "ended_at_unix_ms": 1_700_000_000_050,
            "status": "completed",
        },
        "model": "m",
        "response_id": "resp_hello",
        "upstream_request_id": "req_hello",
        "usage": {
            "input_tokens": 1200,
            "cached_input_tokens": 1000,
            "output_tokens": 50,
            "reasoning_output_tokens": 10,
        },
        "bundle": "traces/trace-own",
    }
    assert proxy["outcome"] == {"protocol": "completed", "transport": "eof", "reason": None}
    assert proxy["timing"]["first_event"] == 200.25
    assert (proxy["asked"], proxy["answered"]) == ("Say hello", "Hello to you")
    assert again["proxy"]["retry_of"] == {"call": "call-first"}
    assert again["proxy"]["attempt"] == 2
    assert left["proxy"]["continues"] == {"call": "call-again", "by": "explicit"}


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        (["--status", "failed"], ["call-first"]),
        (["--status", "failed", "--status", "cancelled"], ["call-left", "call-first"]),
        (["--outcome", "client_closed"], ["call-left"]),
        (["--model", "gpt*"], []),
        (["--thread", "talk", "--slow", "1s"], ["call-hello"]),
        (["--thread", "tal", "--slow", "0.5s"], ["call-left", "call-hello"]),
        (["--tokens", "1.2k"], ["call-hello"]),
        (["--since", "2023-11-14T22:13:20.100Z"], ["call-left"]),
        (["--until", "2023-11-14T22:13:20.050"], ["call-hello"]),
        (["--since", "1h"], []),
        (["--since", "today"], []),
        (["--since", "99999d", "-n", "1"], ["call-left"]),
        (["-n", "0"], ["call-left", "call-again", "call-first", "call-hello"]),
        (["-n", "2"], ["call-left", "call-again"]),
    ],
)
def test_options_say_which_calls(traces: Path, options: list[str], calls: list[str]) -> None:
    """All that is given must hold."""
    done = ls("--json", *options)
    assert done.exit_code == 0
    found = [json.loads(line)["inference_call_id"] for line in done.stdout.splitlines()]
    assert found == calls
    assert bool(done.stderr) is not bool(calls)


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (["--slow", "2"], "such as 500ms, 2s or 1.5m"),
        (["--since", "yesterday"], "how long ago it was is needed (10m, 2h, 3d), or today"),
        (["--until", "2026-13-01"], "a date and time (2026-11-23, 2026-11-23T04:00)"),
        (["--tokens", "many"], "such as 800, 12k or 1.5M"),
        (["--status", "fine"], "'running', 'completed', 'failed'"),
        (["--outcome", "fine"], "'incomplete'"),
        (["-n", "-1"], "-1"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    traces: Path, options: list[str], advice: str
) -> None:
    """It says what is allowed."""
    done = ls(*options)
    assert done.exit_code == 2
    assert advice in " ".join(done.stderr.replace("\n", " ").split())


def test_nothing_found_is_told(traces: Path) -> None:
    """Which options excluded all, and what there is; a script gets no line."""
    for form in ([], ["--json"]):
        done = ls("--status", "aborted", "--slow", "1.5s", "--model", "gpt-4*", *form)
        assert (done.exit_code, done.stdout) == (0, "")
        assert done.stderr == (
            "tailrace: no call matches --status aborted --model gpt-4* --slow 1500ms;"
            " there are 4 calls in traces, of m\n"
        )


def test_no_such_thread_is_told(traces: Path) -> None:
    """An id that is nowhere, and one that is a call's."""
    done = ls("--thread", "call-hello")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no thread in traces has an id that is, begins or ends with 'call-hello'" in done.stderr


def test_no_traces_yet(tmp_path: Path) -> None:
    """No directory, and an empty one: what to do, and exit code 1."""
    (tmp_path / "empty").mkdir()
    for directory in ("empty", "missing", "-\x1b[2J"):
        done = ls("--trace-dir", directory)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "tailrace serve" in done.stderr
        assert "\x1b" not in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"]
    assert list((tmp_path / "empty").iterdir()) == []


def test_damage_is_told_beside_what_can_be_read(traces: Path) -> None:
    """A line on stderr for the damaged bundle; its call and all others are listed."""
    write_damaged_bundle(traces)
    done = ls("--json")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 5
    assert "harmed-call" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("tailrace: traces/trace-damaged: the line at byte ")
    assert line.endswith("; `tailrace verify` tells more")


def test_codex_bundle_is_listed(tmp_path: Path) -> None:
    """It has no figures of ours."""
    write_codex_bundle(tmp_path / "traces")
    (_, line) = ls().stdout.splitlines()
    fields = line.split("\t")
    assert fields[1:5] == ["completed", "-", "-", "m"]
    assert fields[10:] == ["codex-call", "resp_codex", "-", "1", "Fix the test", "Fixed"]


def test_live_bundle_and_a_dead_one(tmp_path: Path) -> None:
    """A call runs as long as its recorder lives, and is lost with it."""
    write_own_bundle(tmp_path / "traces", ends=False)
    recording = Recording(tmp_path / "traces", Clock())
    recording.ask()
    recording.journal.flush()
    (running,) = listed("--status", "running")
    assert listed("--status", "lost") == ["call-left"]
    statuses = {line.split("\t")[10]: line.split("\t")[1] for line in ls().stdout.splitlines()}
    assert (statuses[running], statuses["call-left"]) == ("running", "lost")
    recording.journal.close()


def test_nothing_in_a_bundle_steers_a_terminal(tmp_path: Path) -> None:
    """Whatever stands in it is escaped, in every form."""
    write_hostile_bundle(tmp_path / "traces")
    assert all(part.isprintable() for line in ls().stdout.splitlines() for part in line.split("\t"))
    with PseudoTerminal(["ls"], tmp_path) as terminal:
        assert terminal.wait() == 0
        assert "\\x1b[2Jx" in terminal.wait_for("failed 500")
    with PseudoTerminal(["ls", "--json"], tmp_path, columns=9999) as terminal:
        assert terminal.wait() == 0
        assert json.loads(terminal.lines[0])["response_id"] == "\x1b[2Jx\x07\u202e[red]\r\n\ty"


def test_terminal_gets_a_table(tmp_path: Path) -> None:
    """It fits; lost calls are explained below it."""
    write_own_bundle(tmp_path / "traces", ends=False)
    with PseudoTerminal(["ls"], tmp_path, columns=72) as terminal:
        assert terminal.wait() == 0
        assert "asked" in terminal.lines[0]
        terminal.wait_for("failed 429", " ms  http 429: slow down")
        terminal.wait_for("lost", "Tell me a story")
        terminal.wait_for("1 call is lost: the recorder died; `tailrace recover` seals")


def test_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    """`tailrace ls -n 0 | head` ends quietly, whatever there still was to say."""
    bundle = BundleBuilder(tmp_path / "traces" / "trace-1")
    bundle.turn("t")
    for number in range(600):
        bundle.start(f"call-{number}", "t", [message("user", "word " * 40)])
    bundle.write()
    process = subprocess.Popen(
        [sys.executable, "-m", "tailrace", "ls", "-n", "0"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b"started\t")
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_reader_that_left_before_is_no_error(traces: Path, form: list[str]) -> None:
    """Not even where all would have fitted into the pipe."""
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "ls", *form],
        cwd=traces.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO_ROOT)},
        stdout=writing_end,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing_end)
    assert (done.returncode, done.stderr) == (1, b"")


def test_little_is_loaded(traces: Path) -> None:
    """A list is there before an HTTP server, a model of settings or templates would be loaded."""
    code = (
        "import sys; from tailrace import main; main(['ls'], standalone_mode=False);"
        "print(*sys.modules, file=sys.stderr)"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPO_ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=traces.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "call-hello" in done.stdout
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert (
        loaded & {"aiohttp", "asyncio", "pydantic", "pydantic_settings", "jinja2", "rich"} == set()
    )


def test_directory_is_that_of_the_settings(
    traces: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The default, a flag, a variable, a file: as for every other command."""
    assert Settings().trace_dir == DEFAULT_TRACES
    assert len(listed()) == 4
    traces.rename(tmp_path / "others")
    assert len(listed("--trace-dir", "others")) == 4
    monkeypatch.setenv("TAILRACE_TRACE_DIR", "others")
    assert len(listed()) == 4
    monkeypatch.setenv("TAILRACE_TRACE_DIR", "elsewhere")
    assert ls().exit_code == 1
    monkeypatch.delenv("TAILRACE_TRACE_DIR")
    (tmp_path / "f.toml").write_text('trace_dir = "others"')
    assert len(listed("--config", "f.toml")) == 4
    (tmp_path / "f.toml").rename(tmp_path / "tailrace.toml")
    assert len(listed()) == 4
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(listed("--trace-dir", "~/others")) == 4


def test_settings_that_are_wrong_are_told(tmp_path: Path) -> None:
    """An empty directory's name, and a file that has a mistake: usage errors."""
    assert ls("--trace-dir", "").exit_code == 2
    assert ls("--config", "missing.toml").exit_code == 2
    (tmp_path / "tailrace.toml").write_text("trace_dri = 1")
    done = ls()
    assert (done.exit_code, done.stdout) == (2, "")
    assert "did you mean trace_dir?" in done.stderr


def test_read_only_directory_is_read(traces: Path) -> None:
    """Nothing is written there; the catalog lies elsewhere as long as it is needed."""
    before = sorted(traces.rglob("*"))
    traces.chmod(0o500)
    try:
        assert len(listed()) == 4
    finally:
        traces.chmod(0o700)
    if os.geteuid() != 0:  # to root nothing is read-only
        assert sorted(traces.rglob("*")) == before
