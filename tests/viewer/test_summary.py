"""The summary of calls: what it takes from a bundle, and how it prints."""

import dataclasses
import io
from pathlib import Path
from typing import Any, Literal

import pytest
from rich.console import Console

from tests.support.bundles import BundleBuilder, message
from viewer.summary import CallSummary, call_summaries, print_summary

CANCELLED = CallSummary(
    bundle=Path("traces/trace-1"),
    status="cancelled",
    http_status=200,
    reason="client disconnected before the response ended",
    model="gpt-5.2",
    response_id="resp_" + "a" * 48,
    upstream_request_id="req_" + "b" * 32,
    retry_count=0,
    first_event_ms=12.34,
    ended_ms=1204.9,
    input_tokens=None,
    cached_input_tokens=None,
    output_tokens=None,
    partial_text="Once upon a time",
)

COMPLETED = CallSummary(
    bundle=Path("traces/trace-1"),
    status="completed",
    http_status=200,
    reason=None,
    model="gpt-5.2",
    response_id="resp_1",
    upstream_request_id=None,
    retry_count=1,
    first_event_ms=None,
    ended_ms=20.0,
    input_tokens=1234,
    cached_input_tokens=1000,
    output_tokens=56,
    partial_text="",
)


def printed(*calls: CallSummary, width: int = 80, is_terminal: bool = False) -> str:
    """What is printed of these calls."""
    stream = io.StringIO()
    colours: Literal["standard"] | None = "standard" if is_terminal else None
    console = Console(file=stream, width=width, force_terminal=is_terminal, color_system=colours)
    print_summary(calls, console)
    return stream.getvalue()


def changed(call: CallSummary, **values: Any) -> CallSummary:
    """`call` with some values replaced."""
    return dataclasses.replace(call, **values)


def test_calls_print_plainly_when_piped() -> None:
    """Status, model, both ids, times, tokens, the reason, and the text that was cut."""
    assert printed(COMPLETED, CANCELLED) == (
        " 1  completed 200  gpt-5.2  retry 1\n"
        "    response     resp_1\n"
        "    request      -\n"
        "    time         ended 20.0 ms\n"
        "    tokens       1,234 in (1,000 cached), 56 out\n"
        " 2  cancelled 200  gpt-5.2\n"
        "    response     resp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
        "    request      req_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
        "    time         first event 12.3 ms, ended 1.20 s\n"
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
    lines = printed(changed(CANCELLED, partial_text=text, reason="why " * 40)).splitlines()
    assert max(map(len, lines)) <= 80
    shown = " ".join(line.strip() for line in lines)
    assert "partial text ..." in shown
    assert "word end [cut here]" in shown
    assert "begin" not in shown


def test_ids_and_paths_are_never_broken() -> None:
    """They are there to be copied, however narrow the terminal."""
    call = changed(CANCELLED, bundle=Path("/traces/" + "c" * 100))
    lines = printed(call, width=40).splitlines()
    assert any(line.endswith("resp_" + "a" * 48) for line in lines)
    assert any(line.endswith("/traces/" + "c" * 100) for line in lines)


@pytest.mark.parametrize(
    "field", ["status", "model", "response_id", "upstream_request_id", "reason", "partial_text"]
)
def test_nothing_that_was_traced_steers_the_terminal(field: str) -> None:
    """A model that writes ESC, an upstream whose id is a control sequence, a rich tag."""
    hostile = "\x1b[2Jx\x07\x9b31m\u202e[red]\r\ny"
    output = printed(changed(CANCELLED, **{field: hostile}))
    assert all(line.isprintable() for line in output.split("\n"))
    assert "[red]" in output


def test_a_terminal_gets_colours() -> None:
    """Green for completed, yellow for cancelled, red for what failed."""
    assert "\x1b[1;32mcompleted" in printed(COMPLETED, is_terminal=True)
    assert "\x1b[1;33mcancelled" in printed(CANCELLED, is_terminal=True)
    failed = changed(COMPLETED, status="failed")
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
    assert call_summaries([bundle.write()]) == [
        CallSummary(
            bundle=tmp_path,
            status="cancelled",
            http_status=200,
            reason="left",
            model="m",
            response_id="resp_1",
            upstream_request_id="req_1",
            retry_count=2,
            first_event_ms=1.5,
            ended_ms=9,
            input_tokens=None,
            cached_input_tokens=None,
            output_tokens=None,
            partial_text="Once upon",
        )
    ]


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
    (summary,) = call_summaries([bundle.write()])
    assert (summary.status, summary.response_id) == ("completed", "resp_1")
    assert (summary.input_tokens, summary.cached_input_tokens, summary.output_tokens) == (3, 2, 1)
    assert (summary.http_status, summary.first_event_ms, summary.partial_text) == (None, None, "")


def test_calls_stand_in_the_order_in_which_they_began(tmp_path: Path) -> None:
    """Their ids say nothing about it, and bundles come one after the other."""
    first, second = BundleBuilder(tmp_path / "1"), BundleBuilder(tmp_path / "2")
    for bundle, calls in ((first, ("b", "a")), (second, ("c",))):
        bundle.turn("turn")
        for call in calls:
            bundle.start(call, "turn", [message("user", "Hi")])
            bundle.complete(call, response_id=f"resp_{call}")
    summaries = call_summaries([first.write(), second.write()])
    assert [summary.response_id for summary in summaries] == ["resp_b", "resp_a", "resp_c"]


def test_a_bundle_that_is_gone_is_passed_over(tmp_path: Path) -> None:
    """Somebody may delete it between its end and the summary."""
    assert call_summaries([tmp_path / "gone"]) == []
