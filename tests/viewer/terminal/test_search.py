"""`tailrace search`, as a person, a pipe and a script meet it."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tailrace import main
from tests.support.bundles import BundleBuilder, message
from tests.support.call_rows import call_row
from tests.support.pseudo_terminal import PseudoTerminal
from tests.support.recording import Clock, Recording
from viewer.catalog.rows import Hit
from viewer.terminal.search import excerpt_text

from .written_traces import write_codex_bundle, write_damaged_bundle, write_hostile_bundle

pytestmark = pytest.mark.usefixtures("in_one_place")


def search(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["search", *arguments], catch_exceptions=False)


def found(*arguments: str) -> list[str]:
    """The calls of the hits, by their ids."""
    lines = search("--json", *arguments).stdout.splitlines()
    return [json.loads(line)["call"]["inference_call_id"] for line in lines]


def test_pipe_gets_plain_lines(traces: Path) -> None:
    """A line for each hit: when, which call, on which side, who said it, and the excerpt."""
    done = search("hello")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (
        "2023-11-14T22:13:20\tcall-hello\tresponse\tassistant\tHello to you\n"
        "2023-11-14T22:13:20\tcall-hello\trequest\tuser\tSay hello\n"
    )


def test_script_gets_the_call_and_the_places(traces: Path) -> None:
    """The excerpt without marks, what was found by its characters, and the call as `ls` has it."""
    done = search("--json", "to", "yo")
    (hit,) = map(json.loads, done.stdout.splitlines())
    call = hit.pop("call")
    assert hit == {
        "side": "response",
        "label": "assistant",
        "excerpt": "Hello to you",
        "matches": [[6, 12]],
    }
    listed = CliRunner().invoke(main, ["ls", "--json", "--tokens", "1"]).stdout
    assert call == json.loads(listed)


def test_options_say_among_which_calls(traces: Path) -> None:
    """As for `ls`; what was cut short is found as well."""
    assert found("once upon") == ["call-left"]
    assert found("translate") == ["call-first"]
    assert found("translate", "--status", "completed") == []
    assert found("hello", "-n", "1") == ["call-hello"]


def test_every_page_is_told(tmp_path: Path) -> None:
    """More hits than are in memory at a time, each once and the latest first."""
    bundle = BundleBuilder(tmp_path / "traces" / "trace-1")
    bundle.turn("t")
    for number in range(450):
        bundle.start(f"call-{number}", "t", [message("user", f"needle {number}")])
    bundle.write()
    assert found("needle", "-n", "0") == [f"call-{number}" for number in reversed(range(450))]
    assert len(found("needle", "-n", "201")) == 201
    assert len(found("needle")) == 20


def test_text_without_a_word_is_told(traces: Path) -> None:
    """There is nothing to search for, whatever the options."""
    done = search("?!\x1b")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("tailrace: '?!\\x1b' has no word in it to search for")
    assert search().exit_code == 2


def test_nothing_found_is_told(traces: Path) -> None:
    """What was searched for and where, and among which calls."""
    done = search("nowhere", "--status", "failed")
    assert (done.exit_code, done.stdout) == (0, "")
    told = "tailrace: 'nowhere' is nowhere in traces among the calls of --status failed\n"
    assert done.stderr == told


def test_no_traces_yet(tmp_path: Path) -> None:
    """No directory, and an empty one."""
    (tmp_path / "empty").mkdir()
    for directory in ("empty", "missing"):
        done = search("word", "--trace-dir", directory)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "tailrace serve" in done.stderr


def test_any_bundle_is_searched(tmp_path: Path) -> None:
    """One of Codex's, a damaged one, and one that is being written."""
    traces = tmp_path / "traces"
    write_codex_bundle(traces)
    write_damaged_bundle(traces)
    recording = Recording(traces, Clock())
    recording.ask({"model": "m", "input": "Still at it"})
    recording.journal.flush()
    assert found("fix the test") == ["codex-call"]
    assert found("yes") == ["harmed-call"]
    assert len(found("still at it")) == 1
    recording.journal.close()


def test_nothing_in_a_bundle_steers_a_terminal(tmp_path: Path) -> None:
    """Nor what was searched for."""
    write_hostile_bundle(tmp_path / "traces")
    for line in search("words").stdout.splitlines():
        assert all(part.isprintable() for part in line.split("\t"))
    with PseudoTerminal(["search", "words"], tmp_path) as terminal:
        assert terminal.wait() == 0
        assert "red]\\r\\n\\ty" in terminal.wait_for("failed 500", "request: user")


def test_terminal_gets_excerpts_and_calls(traces: Path) -> None:
    """Each hit with its call's line below it, which fits."""
    with PseudoTerminal(["search", "hello"], traces.parent, columns=50) as terminal:
        assert terminal.wait() == 0
        assert terminal.lines == [
            "Hello to you",
            "  ll-hello  2023-11-14  completed  m  1.20 s  res…",
            "",
            "Say hello",
            "  ll-hello  2023-11-14  completed  m  1.20 s  req…",
            "",
            "",
        ]


def test_what_was_found_is_highlighted() -> None:
    """Each place of it, and nothing else; hostile text keeps no mark of its own."""
    excerpt = "say \ue000hello\ue001\n\x1b[2J \ue000hello there\ue001 \ue001"
    hit = Hit(id=1, call=call_row(), side="request", label="user", excerpt=excerpt)
    text = excerpt_text(hit)
    assert text.plain == "say hello \\x1b[2J hello there \\ue001"
    marked = [text.plain[span.start : span.end] for span in text.spans if span.style]
    assert marked == ["hello", "hello there"]
