"""The summary of calls: what it takes from a bundle, and how it prints."""

import errno
import io
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest
from rich.console import Console

from tests.support.bundles import BundleBuilder, message
from tests.support.call_rows import call_row
from viewer.catalog.rows import CallRow, Timing, Usage
from viewer.summary import (
    LISTED_MAX,
    TOLD_MAX,
    Summary,
    next_steps,
    print_summary,
    summary_of,
    tell_calls,
)

BUNDLE = Path("traces/trace-1")

CANCELLED = call_row(
    2,
    BUNDLE,
    status="cancelled",
    http_status=200,
    reason="client disconnected before the response ended",
    model="gpt-5.2",
    response_id="resp_" + "a" * 48,
    upstream_request_id="req_" + "b" * 32,
    timing=Timing(first_event=12.34, ended=1204.9),
)

COMPLETED = call_row(
    1,
    BUNDLE,
    status="completed",
    http_status=200,
    model="gpt-5.2",
    response_id="resp_1",
    retry_count=1,
    timing=Timing(ended=20.0),
    usage=Usage(
        input_tokens=1234,
        cached_input_tokens=1000,
        output_tokens=56,
        reasoning_output_tokens=0,
    ),
)


def printed(
    *calls: CallRow,
    partial_text: str = "Once upon a time",
    width: int = 80,
    is_terminal: bool = False,
) -> str:
    """What is printed of these calls, of which the second one was cut."""
    stream = io.StringIO()
    colours: Literal["standard"] | None = "standard" if is_terminal else None
    console = Console(file=stream, width=width, force_terminal=is_terminal, color_system=colours)
    print_summary(Summary(calls=calls, partial_texts={CANCELLED.id: partial_text}), console)
    return stream.getvalue()


def test_calls_print_plainly_when_piped() -> None:
    """Status, model, both ids, times, tokens, the reason, and the text that was cut."""
    assert printed(COMPLETED, CANCELLED) == (
        " 1  completed 200  gpt-5.2  retry 1\n"
        "    response     resp_1\n"
        "    request      -\n"
        "    time         ended 20 ms\n"
        "    tokens       1,234 in (1,000 cached), 56 out\n"
        " 2  cancelled 200  gpt-5.2\n"
        "    response     resp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
        "    request      req_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
        "    time         first event 12 ms, ended 1.20 s\n"
        "    tokens       -\n"
        "    reason       client disconnected before the response ended\n"
        "    partial text Once upon a time [cut here]\n"
        "\n"
        "2 calls in traces/trace-1\n"
    )


def test_no_call_is_said() -> None:
    """A command that called nothing is no empty screen."""
    assert printed() == "No call was traced.\n"


def test_long_text_keeps_its_end_and_the_width() -> None:
    """The end is where it was cut; no line is wider than the terminal."""
    text = "begin " + "word " * 1000 + "end"
    lines = printed(replace(CANCELLED, reason="why " * 40), partial_text=text).splitlines()
    assert max(map(len, lines)) <= 80
    shown = " ".join(line.strip() for line in lines)
    assert "partial text …" in shown
    assert "word end [cut here]" in shown
    assert "begin" not in shown


def test_ids_and_paths_are_never_broken() -> None:
    """They are there to be copied, however narrow the terminal."""
    call = replace(CANCELLED, bundle=Path("/traces/" + "c" * 100))
    lines = printed(call, width=40).splitlines()
    assert any(line.endswith("resp_" + "a" * 48) for line in lines)
    assert any(line.endswith("/traces/" + "c" * 100) for line in lines)


@pytest.mark.parametrize(
    "field",
    ["status", "model", "response_id", "upstream_request_id", "reason", "asked", "answered"],
)
@pytest.mark.parametrize("count", [1, TOLD_MAX + 1])
def test_nothing_that_was_traced_steers_the_terminal(field: str, count: int) -> None:
    """A model that writes ESC, an upstream whose id is a control sequence, a rich tag."""
    hostile = "\x1b[2Jx\x07\x9b31m\u202e[red]\r\ny"
    value: dict[str, Any] = {field: hostile}
    calls = [replace(CANCELLED, **value)] * count
    output = printed(*calls, partial_text=hostile)
    assert all(line.isprintable() for line in output.split("\n"))
    assert "[red]" in output or count > 1


def test_a_terminal_gets_colours() -> None:
    """Green for completed, yellow for cancelled, red for what failed."""
    assert "\x1b[1;32mcompleted" in printed(COMPLETED, is_terminal=True)
    assert "\x1b[1;33mcancelled" in printed(CANCELLED, is_terminal=True)
    failed = replace(COMPLETED, status="failed")
    assert "\x1b[1;31mfailed" in printed(failed, is_terminal=True)


def partial_message(*texts: str) -> dict[str, object]:
    """A message in progress, of these parts."""
    parts = [{"type": "output_text", "text": text} for text in texts]
    return {
        "output_index": 0,
        "item": {"type": "message", "status": "incomplete", "content": parts},
    }


def test_a_cancelled_call_is_summed_up_from_its_bundle(tmp_path: Path) -> None:
    """With the response id and the text that came before the client left."""
    bundle = BundleBuilder(tmp_path)
    bundle.turn("turn")
    bundle.start("call", "turn", [message("user", "Hi")], proxy={"retry_count": 2})
    bundle.cancel(
        "call",
        response_id="resp_1",
        upstream_request_id="req_1",
        partial_items=[partial_message("Once ", "upon"), {"item": {"type": "reasoning"}}],
        proxy={
            "http_status": 200,
            "response_id": "resp_1",
            "outcome": {"protocol": "none", "transport": "client_closed", "reason": "left"},
            "timing": {"first_event": 1.5, "ended": 9},
        },
    )
    summary = summary_of([bundle.write()])
    (call,) = summary.calls
    assert (call.bundle, call.status, call.reason) == (tmp_path, "cancelled", "left")
    assert (call.response_id, call.upstream_request_id) == ("resp_1", "req_1")
    assert (call.retry_count, call.timing.first_event, call.duration_ms) == (2, 1.5, 9)
    assert summary.partial_texts == {call.id: "Once \nupon"}


def test_what_stands_under_proxy_is_not_believed(tmp_path: Path) -> None:
    """Codex writes nothing there, and another writer may write anything."""
    bundle = BundleBuilder(tmp_path)
    bundle.turn("turn")
    bundle.start("call", "turn", [message("user", "Hi")])
    bundle.complete(
        "call",
        response_id="resp_1",
        usage={
            "input_tokens": 3,
            "cached_input_tokens": 2,
            "output_tokens": 1,
            "reasoning_output_tokens": 0,
        },
        proxy={"http_status": "x", "timing": [], "outcome": 1, "response_id": {}},
    )
    (call,) = summary_of([bundle.write()]).calls
    assert (call.status, call.response_id) == ("completed", "resp_1")
    assert call.usage is not None
    assert (call.usage.input_tokens, call.usage.cached_input_tokens) == (3, 2)
    assert (call.http_status, call.timing.first_event) == (None, None)


def a_bundle(path: Path, *calls: str, later_ms: int = 0) -> Path:
    """A bundle with these calls, completed."""
    builder = BundleBuilder(path)
    builder.later_ms = later_ms
    builder.turn("turn")
    for call in calls:
        builder.start(call, "turn", [message("user", "Hi")])
        builder.complete(call, response_id=f"resp_{call}")
    builder.end()
    return builder.write()


def test_calls_stand_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    """Their ids say nothing about it."""
    first = a_bundle(tmp_path / "1", "b", "a")
    second = a_bundle(tmp_path / "2", "c", later_ms=1000)
    calls = summary_of([first, second]).calls
    assert [call.response_id for call in calls] == ["resp_b", "resp_a", "resp_c"]


def test_what_else_is_in_the_trace_directory_is_left_alone(tmp_path: Path) -> None:
    """It is not read, which might take long, and nothing is written there."""
    ours = a_bundle(tmp_path / "1", "ours")
    a_bundle(tmp_path / "2", "other")
    (call,) = summary_of([ours]).calls
    assert call.call_id == "ours"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_a_bundle_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    """Somebody may delete it between its end and the summary."""
    assert summary_of([tmp_path / "gone"]).calls == []
    assert summary_of([]).calls == []
    there = a_bundle(tmp_path / "there", "call")
    assert len(summary_of([tmp_path / "gone", there]).calls) == 1


def test_many_calls_have_a_line_each_and_the_latest_are_shown() -> None:
    """How many ended how, and no more lines than can be looked through."""
    calls = [replace(COMPLETED, id=number, call_id=f"{number:08}") for number in range(1, 100)]
    wrong = replace(CANCELLED, call_id="00000100", status="failed", http_status=500)
    lines = printed(*calls, wrong).splitlines()
    assert lines[0] == f"99 completed  1 failed  the last {LISTED_MAX}:"
    assert len(lines) == 1 + LISTED_MAX + 2
    assert [line.split()[1] for line in lines[1:3]] == ["00000051", "00000052"]
    assert " 00000100 failed 500 " in lines[LISTED_MAX]
    assert lines[-1] == "100 calls in traces/trace-1"
    few = printed(*calls[:20], is_terminal=True, width=60)
    assert "the last" not in few


def test_what_to_do_next_is_to_look_at_what_went_wrong() -> None:
    """At the call that went wrong last, or else at the latest."""
    good = replace(COMPLETED, call_id="00000000-good0001")
    bad = replace(CANCELLED, call_id="00000000-bad00001")
    for calls in ([good], [bad, good], [good, bad, good]):
        steps = next_steps(Summary(calls=calls, partial_texts={}))
        shown = "bad00001" if bad in calls else "good0001"
        assert steps == [f"show {shown}", "ls", "view"]
    assert next_steps(Summary(calls=[], partial_texts={})) == []


def test_where_no_index_can_be_made_the_calls_are_not_denied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is no reason to say that nothing was called."""

    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("viewer.summary.TemporaryDirectory", full)
    stream = io.StringIO()
    console = Console(file=stream, width=120)
    assert tell_calls([a_bundle(tmp_path, "call")], console) == ["ls"]
    assert stream.getvalue() == (
        "tailrace: the calls cannot be summed up: No space left on device; `tailrace ls` has them\n"
    )
