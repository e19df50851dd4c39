"""Each reading command, and each page, on each kind of trace directory that somebody may have."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tailrace import main
from tests.support.pseudo_terminal import PseudoTerminal
from tests.support.running_page import Answer, RunningPage
from tests.support.trace_dirs import MAKERS, SECRETS, live, record
from tests.viewer.page.markup import words
from viewer.catalog.catalog import Catalog
from viewer.catalog.queries import find_calls
from viewer.catalog.rows import CallFilter
from viewer.page.links import call_key

LIVE = "live"

NOTHING = frozenset({"missing", "empty", "a file"})
"""Where there is nothing to read, which each command says."""

LISTS = (
    ("ls",),
    ("ls", "--json"),
    ("ls", "--status", "failed", "--slow", "1h", "--since", "2023-01-01", "--tokens", "1"),
    ("search", "Hel"),
    ("search", "Hel", "--json"),
    ("search", "nowhere to be found"),
    ("stats",),
    ("stats", "--json"),
    ("tail",),
    ("tail", "--json"),
)
OF_A_CALL = (
    ("show", "last"),
    ("show", "last", "--json"),
    ("show", "last", "--request"),
    ("show", "last", "--response"),
    ("show", "last", "--events"),
    ("show", "last", "--events", "--json"),
    ("show", "last", "--curl"),
    ("show", "last", "--support"),
    ("diff", "last"),
    ("diff", "last", "--json"),
    ("diff", "last", "last"),
    ("export", "last", "--format", "html", "-o", "OUTPUT"),
    ("export", "last", "--format", "codex", "-o", "OUTPUT"),
)
OF_NO_CALL = (("show", "nonesuch"), ("diff", "nonesuch"))

AS_IT_WAS = frozenset({"--request", "--response", "--curl"})
"""What goes to a pipe byte for byte. In JSON, too, what steers a terminal is no control character.
"""

RAW = {
    "--request": "request.json",
    "--response": "response.json",
    "--curl": "curl.txt",
    "--support": "support.json",
    "stream": "stream.txt",
}
"""What is a page of its own of what an option of `show` prints."""

NO_PAYLOADS = frozenset({"--request", "--response", "--curl"})
LACKS: dict[str, frozenset[str]] = {
    "metadata": frozenset({"--curl", "stream"}),
    "scrambled": frozenset({"--response"}),
    "no payloads": NO_PAYLOADS,
    "payloads no JSON": frozenset({"--curl"}),
    "payloads block": NO_PAYLOADS,
    "payloads lead out": NO_PAYLOADS,
    "no capture": frozenset({"stream"}),
    "capture blocks": frozenset({"stream"}),
    "capture leads out": frozenset({"stream"}),
    "capture cut": frozenset({"stream"}),
    "capture noise": frozenset({"stream"}),
    "dead": frozenset({"--response"}),
    "Codex's": frozenset({"stream"}),
    LIVE: frozenset({"--response"}),
}
"""What of the last call is not there, so that what shows it fails."""

NO_CALLS = ("No calls yet", "The traces cannot be read")
"""What the page says there."""

TOLD = {
    "scrambled": "it is no JSON; `tailrace verify` tells more",
    "no log": "its event log, trace.jsonl, is missing; `tailrace verify` tells more",
    "log blocks": "its event log cannot be read: it is no plain file",
    "log leads out": "its event log cannot be read: it is a link",
}
"""What every command says of a bundle's damage."""

CALLS = {
    **dict.fromkeys(("no log", "empty log", "log blocks", "log leads out"), 0),
    **dict.fromkeys(("dead", "sealed", "two workers", "Codex's", LIVE), 2),
}
"""How many there are; else three."""

PAGES = ("", "?fragment=events", "/input", "/text")


@pytest.fixture(params=[*MAKERS, LIVE])
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of trace directory."""
    name = request.param
    assert isinstance(name, str)
    return name


@pytest.fixture
def traces(kind: str, trace_dir: Path) -> Iterator[Path]:
    """A trace directory of this kind."""
    if kind == LIVE:
        with live(trace_dir):
            yield trace_dir
    else:
        MAKERS[kind](trace_dir)
        yield trace_dir


@pytest.fixture(autouse=True)
def nobody_reads_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that `tail` ends after its first look."""
    monkeypatch.setattr("viewer.terminal.tail._is_read_on", lambda: False)


def run(arguments: tuple[str, ...], trace_dir: Path) -> Result:
    """Run a command in this process, with no settings but the directory."""
    ours = {name: None for name in os.environ if name.startswith("TAILRACE_")}
    return CliRunner().invoke(main, [*arguments, "--trace-dir", str(trace_dir)], env=ours)


def problems_of(arguments: tuple[str, ...], result: Result, exit_code: int) -> Iterator[str]:
    """What is wrong with a command's answer, whatever there was to read."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        yield f"raised {result.exception!r}"
    if result.exit_code != exit_code:
        yield f"exit code {result.exit_code}, not {exit_code}: {result.stderr}"
    if exit_code and not result.stderr.startswith("tailrace: "):
        yield f"does not say what is wrong: {result.stderr!r}"
    if exit_code and result.stdout:
        yield f"failed, and printed {result.stdout!r}"
    if (
        not exit_code
        and not result.stdout + result.stderr
        and arguments[0] not in {"export", "tail"}
    ):
        yield "said nothing at all"
    if "Traceback" in result.output:
        yield "printed a traceback"
    as_it_was = AS_IT_WAS.intersection(arguments) or "--json" in arguments
    yield from problems_of_text(result.stdout, as_it_was=bool(as_it_was))
    yield from problems_of_text(result.stderr, as_it_was=False)
    if "--json" in arguments:
        yield from problems_of_json(result.stdout)


def problems_of_text(text: str, *, as_it_was: bool) -> Iterator[str]:
    """Secrets, and what steers a terminal."""
    yield from (f"told the secret {secret!r}" for secret in SECRETS if secret in text)
    for character in sorted(set(text) - {"\n", "\t"}):
        if not character.isprintable() and (character < " " or not as_it_was):
            yield f"printed {character!r}"


def problems_of_json(text: str) -> Iterator[str]:
    """Lines that are no objects."""
    for line in text.splitlines():
        try:
            is_object = isinstance(json.loads(line), dict)
        except ValueError:
            is_object = False
        if not is_object:
            yield f"a line that is no object: {line!r}"


def expected_code(kind: str, arguments: tuple[str, ...]) -> int:
    """The exit code as documented."""
    if arguments[0] == "tail":
        return 0
    if kind in NOTHING or arguments in OF_NO_CALL:
        return 1
    if arguments in OF_A_CALL and CALLS.get(kind) == 0:
        return 1
    return 1 if LACKS.get(kind, frozenset()).intersection(arguments) else 0


def contents(trace_dir: Path) -> dict[str, object]:
    """All that bundles hold, and when each file was written last."""
    found = (path for path in trace_dir.glob("trace-*/**/*") if not path.is_dir())
    return {
        str(path): (path.lstat().st_mtime_ns, path.lstat().st_size, path.lstat().st_ino)
        for path in found
    }


def test_every_command_answers(kind: str, traces: Path, tmp_path: Path) -> None:
    """As documented: an exit code, a message where there is nothing, and no bundle is touched."""
    before = contents(traces)
    problems = []
    for number, command in enumerate((*LISTS, *OF_A_CALL, *OF_NO_CALL)):
        output = tmp_path / f"output-{number}"
        arguments = tuple(str(output) if each == "OUTPUT" else each for each in command)
        result = run(arguments, traces)
        code = expected_code(kind, command)
        found = list(problems_of(arguments, result, code))
        if kind in NOTHING and str(traces) not in result.stderr:
            found.append(f"does not name the directory: {result.stderr!r}")
        if kind in TOLD and TOLD[kind] not in result.stderr:
            found.append(f"does not tell the damage: {result.stderr!r}")
        if command[0] == "export" and output.exists() == bool(code):
            found.append("a failed one wrote something" if code else "nothing was written")
        if output.is_file():
            found += problems_of_text(output.read_text(), as_it_was=False)
        problems += [f"{' '.join(command)}: {problem}" for problem in found]
    assert not problems, "\n".join(problems)
    assert kind == LIVE or contents(traces) == before


def test_every_call_is_listed(kind: str, traces: Path) -> None:
    """Whatever harm was done to the bundle, each call that it tells of is found by its id."""
    if kind in NOTHING:
        return
    calls = listed(traces)
    assert len(calls) == CALLS.get(kind, 3)
    for call in calls:
        told = run(("show", call["inference_call_id"], "--json"), traces)
        assert json.loads(told.stdout)["inference_call_id"] == call["inference_call_id"]


def listed(trace_dir: Path) -> list[dict[str, Any]]:
    """The calls, as `ls --json` has them."""
    return [json.loads(line) for line in run(("ls", "--json"), trace_dir).stdout.splitlines()]


def test_every_page_answers(kind: str, traces: Path) -> None:
    """Of each call its page, thread and comparison; what is not there is no page."""
    lacks = LACKS.get(kind, frozenset())
    with RunningPage(traces) as page:
        keys = [] if kind in NOTHING else keys_of(traces)
        start = page.get("/")
        says_nothing_is_there = any(words in start.text for words in NO_CALLS)
        assert says_nothing_is_there == (not keys)
        problems = list(problems_of_page("/", start, 200))
        if kind in TOLD and TOLD[kind].partition(";")[0] not in words(start.text):
            problems.append("the page does not tell the damage")
        for key in keys:
            call = f"/call/{key}"
            for path in (
                f"/thread/{key}",
                f"/diff?a={keys[0]}&b={key}",
                *(call + each for each in PAGES),
            ):
                problems += problems_of_page(path, page.get(path), 200)
            for part, name in RAW.items():
                answer = page.get(f"{call}/{name}")
                # Of other calls the stream is lost where that of the last one is, or never was.
                status = answer.status if key != keys[0] else 404 if part in lacks else 200
                problems += problems_of_page(f"{call}/{name}", answer, status)
                problems += [f"{call}/{name}: {answer.status}"] * (answer.status not in {200, 404})
    assert not problems, "\n".join(problems)


def problems_of_page(path: str, answer: Answer, status: int) -> Iterator[str]:
    """What is wrong with a page, whatever there was to show."""
    if answer.status != status:
        yield f"{path}: {answer.status}, not {status}"
    is_html = answer.headers["Content-Type"].startswith("text/html")
    for problem in problems_of_text(answer.text, as_it_was=not is_html):
        yield f"{path}: {problem}"


def keys_of(trace_dir: Path) -> list[str]:
    """What pages name the calls by, the last one first."""
    with Catalog.open(trace_dir) as catalog:
        catalog.refresh()
        return [call_key(row) for row in find_calls(catalog, CallFilter(), limit=9)]


ON_A_TERMINAL = (
    ("ls", "--json"),
    ("search", "owned"),
    ("show", "last"),
    ("show", "last", "--request"),
    ("diff", "last"),
)


def test_no_command_steers_a_terminal(tmp_path: Path) -> None:
    """What a model wrote for one is shown as escapes by each of them, also by `tail`."""
    record(tmp_path / "traces")
    for command in ON_A_TERMINAL:
        with PseudoTerminal(command, tmp_path) as terminal:
            assert terminal.wait() == 0, terminal.lines
    with PseudoTerminal(("tail",), tmp_path) as terminal:
        terminal.wait_for("cancelled")
        assert terminal.interrupt() == 130
