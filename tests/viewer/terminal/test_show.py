"""`tailrace show` as a person, a pipe and a script meet it, on bundles that the recorder wrote."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from tailrace import main
from tests.support.events import (
    ev_completed,
    ev_created,
    ev_item_added,
    ev_text_delta,
    function_call_item,
    function_call_stream,
    message_item,
    sse_pieces,
    text_stream,
    usage,
)
from tests.support.pseudo_terminal import PseudoTerminal
from tests.support.raw_http import exchange, request_bytes
from tests.support.recording import (
    JSON_HEAD,
    SSE_HEAD,
    Recording,
    answer,
    call_id,
    only_bundle,
    recording,
)
from tests.support.running_proxy import RunningProxy
from tests.support.sample_traces import (
    add_codex_bundle,
    add_damaged_bundle,
    add_dead_bundle,
    make_sample_traces,
)
from tests.support.script import Gate, stream_reply
from tests.support.scripted_upstream import ScriptedUpstream
from tests.support.waiting import wait_until
from tests.viewer.terminal.shown import ASKED, HEADERS, show, shown
from tracing.call import Waits
from tracing.terminal import TransportEnd
from viewer.terminal.call_sheet import NEW_ENTRIES_MAX


def cancelled(record: Recording) -> None:
    """A call whose client leaves in the midst of a text."""
    events = (
        ev_created(),
        ev_item_added(message_item("", status="in_progress")),
        ev_text_delta("It is a chan"),
    )
    trace = record.ask(ASKED, headers=HEADERS)
    record.clock.advance(200)
    answer(trace, sse_pieces(*events), end=TransportEnd.CLIENT_CLOSED)


def test_a_call_is_told_as_a_person_would(tmp_path: Path) -> None:
    """Who asked, what was sent and came, when, both ids, and how it ended."""
    with recording(tmp_path) as record:
        trace = record.ask(ASKED, headers=HEADERS)
        record.clock.advance(200)
        trace.response_started(200, SSE_HEAD)
        record.clock.advance(50)
        for piece in sse_pieces(*text_stream("A ", "channel.")):
            trace.response_piece(piece)
        trace.ended(TransportEnd.EOF, None, Waits())
        record.close()
    told = shown(tmp_path, "last")
    for part in (
        f"Call {call_id(1)}",
        "Completed",
        "asked by      OpenAI/Python 3.54.0",
        "user          What is a tailrace?",
        "assistant     A channel.",
        "request id    req_1",
        "response id   resp_1",
        "headers           200 ms  from 0.0 ms",
        "first event        50 ms  from 200 ms",
    ):
        assert part in told, told
    assert "sk-very-secret" not in told
    assert "Missing" not in told


def test_partial_text_is_marked_where_it_was_cut(tmp_path: Path) -> None:
    """The text of a cancelled call ends with who cut it."""
    with recording(tmp_path) as record:
        cancelled(record)
        record.close()
    told = shown(tmp_path, "last").splitlines()
    at = next(number for number, line in enumerate(told) if "It is a chan" in line)
    assert told[at + 1].strip() == "[cut here: the client disconnected]"


def test_the_calls_next_to_it_are_named(tmp_path: Path) -> None:
    """What it continues, what continues it, and the try after it."""
    with recording(tmp_path) as record:
        answer(record.ask(ASKED), [b"{}"], status=500, headers=JSON_HEAD)
        record.clock.advance(1000)
        record.call(*sse_pieces(*text_stream("A channel.")), body=ASKED)
        record.clock.advance(1000)
        then = {**ASKED, "previous_response_id": "resp_1", "input": "Of what?"}
        record.call(*sse_pieces(*text_stream("Water.", response_id="resp_2")), body=then)
        record.close()
    first, second, third = (str(call_id(number)) for number in (1, 2, 3))
    assert f"retried by    {second} (completed)" in shown(tmp_path, first)
    told = shown(tmp_path, second)
    assert f"retry of      {first} (failed)" in told
    assert f"continued by  {third}" in told
    assert f"continues     {second}, by previous_response_id" in shown(tmp_path, third)


def test_a_long_history_is_folded(tmp_path: Path) -> None:
    """What is new comes first; what the model had said before is counted."""
    rounds = [
        item
        for number in range(20)
        for item in (
            {"role": "user", "content": f"question {number}"},
            {"role": "assistant", "content": f"reply {number}"},
        )
    ]
    asked = {**ASKED, "input": [*rounds, {"role": "user", "content": "and now?"}]}
    with recording(tmp_path) as record:
        record.call(*sse_pieces(*text_stream("Now this.")), body=asked)
        record.close()
    told = shown(tmp_path, "last")
    assert "user          and now?" in told
    assert "40 earlier items, see `--request`" in told
    assert "question 19" not in told


def test_of_a_long_request_that_is_all_new_the_end_is_shown(tmp_path: Path) -> None:
    """It has nothing of the model's that would tell where the new begins."""
    items = [{"role": "user", "content": f"line {number}"} for number in range(50)]
    with recording(tmp_path) as record:
        record.call(*sse_pieces(*text_stream("All read.")), body={**ASKED, "input": items})
        record.close()
    told = shown(tmp_path, "last")
    assert "line 49" in told
    assert f"{50 - NEW_ENTRIES_MAX} earlier items" in told
    assert f"line {49 - NEW_ENTRIES_MAX}" not in told


def test_events_are_a_table_or_an_object_a_line(tmp_path: Path) -> None:
    """Every event once, in order, with its time, type, size and number."""
    stream = text_stream("one\ttwo", "\n")
    with recording(tmp_path) as record:
        record.call(*sse_pieces(*stream), body=ASKED)
        record.close()
    header, *lines = shown(tmp_path, "last", "--events").splitlines()
    fields = [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]
    assert [line["type"] for line in fields] == [event["type"] for event in stream]
    assert fields[4]["summary"] == "one\\ttwo"
    objects = [
        json.loads(line) for line in shown(tmp_path, "last", "--events", "--json").split("\n")[:-1]
    ]
    assert [event["data"]["type"] for event in objects] == [event["type"] for event in stream]
    assert [event["sequence_number"] for event in objects] == list(range(len(stream)))
    assert [str(event["size"]) for event in objects] == [line["size"] for line in fields]


def test_json_is_the_call_as_the_state_has_it(tmp_path: Path) -> None:
    """The state's keys; what both events say under `proxy`, and what was in progress."""
    with recording(tmp_path) as record:
        cancelled(record)
        record.close()
    call = json.loads(shown(tmp_path, "last", "--json"))
    assert call["inference_call_id"] == str(call_id(1))
    assert call["execution"]["status"] == "cancelled"
    assert call["proxy"]["client"]["user_agent"] == "OpenAI/Python 3.54.0"
    assert call["proxy"]["timing"]["upstream_headers"] == 200.0
    assert call["proxy"]["capture"]["file"] == "streams/1.cap"
    (partial,) = call["proxy"]["partial_items"]
    assert partial["item"]["content"][0]["text"] == "It is a chan"


@pytest.mark.parametrize(
    "options",
    [
        ["--request", "--response"],
        ["--events", "--curl"],
        ["--support", "--request"],
        ["--request", "--json"],
        ["--support", "--json"],
    ],
)
def test_parts_exclude_each_other(tmp_path: Path, options: list[str]) -> None:
    """Two parts at once are a usage error that names them."""
    with recording(tmp_path) as record:
        record.call(*sse_pieces(*text_stream("Hello")))
        record.close()
    result = show(tmp_path, "last", *options)
    assert result.exit_code == 2
    assert all(option in result.stderr for option in options)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """No such call, a thread, no traces, no response yet: what, where, and what to do."""
    nothing = show(tmp_path / "none", "last")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "none" in nothing.stderr
    with recording(tmp_path) as record:
        trace = record.ask({**ASKED, "conversation": "conv_1"})
        record.journal.flush()
        unknown, thread = show(tmp_path, "zzz"), show(tmp_path, "conv_1")
        early = show(tmp_path, "last", "--response")
        trace.ended(TransportEnd.EOF, None, Waits())
        record.close()
    for result, words in ((unknown, "tailrace ls"), (thread, "--thread"), (early, "no response")):
        assert result.exit_code == 1
        assert words in result.stderr
        assert "Traceback" not in result.stderr


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Calls of every kind, among them hostile ones, a damaged bundle, a dead one, and Codex's."""
    trace_dir = tmp_path_factory.mktemp("samples")
    make_sample_traces(trace_dir)
    for add in (add_damaged_bundle, add_dead_bundle, add_codex_bundle):
        add(trace_dir)
    return trace_dir


def sampled_calls(trace_dir: Path) -> Iterator[str]:
    """The calls, by an id that only one of them has."""
    listed = CliRunner().invoke(main, ["ls", "-n", "0", "--json", "--trace-dir", str(trace_dir)])
    calls = [json.loads(line)["inference_call_id"] for line in listed.stdout.splitlines()]
    return (call for call in calls if calls.count(call) == 1)


STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069]")


def test_every_kind_of_call_can_be_told(samples: Path) -> None:
    """None raises, and nothing that a model or a client wrote can steer a terminal."""
    count = 0
    for call in sampled_calls(samples):
        count += 1
        result = show(samples, call)
        assert result.exit_code == 0, (call, result.output)
        assert result.exception is None
        assert STEERING.search(result.stdout) is None, call
    assert count > 60


@pytest.mark.parametrize("part", ["--events", "--support", "--json", "--request", "--curl"])
def test_every_part_of_some_calls_can_be_told(samples: Path, part: str) -> None:
    """What is not there is an error with a message, and never a traceback."""
    for call in list(sampled_calls(samples))[::3]:
        result = show(samples, call, part)
        assert isinstance(result.exception, SystemExit | None), (call, part, result.exception)
        assert result.exit_code == 0 or result.stderr.count("tailrace: ") >= 1


@pytest.mark.parametrize("columns", [40, 100])
def test_on_a_terminal_lines_fit_and_long_texts_are_folded(tmp_path: Path, columns: int) -> None:
    """No line is wider than the terminal, and no text longer than a screen or two."""
    with recording(tmp_path / "traces") as record:
        long = {**ASKED, "input": "word " * 20_000}
        trace = record.ask(long)
        record.clock.advance(200)
        answer(trace, sse_pieces(*text_stream("A ", "channel.\x1b[2J")))
        record.close()
    with PseudoTerminal(["show", "last"], tmp_path, columns=columns) as terminal:
        assert terminal.wait() == 0
        lines = terminal.lines
    assert any("channel.\\x1b[2J" in line for line in lines)
    assert "characters more" in " ".join(" ".join(lines).split())
    assert any("█" in line for line in lines)
    assert len(lines) < 4000 / (columns - 20) + 80


def test_a_call_that_runs_is_told_so_far(
    proxy: RunningProxy, upstream: ScriptedUpstream, trace_dir: Path
) -> None:
    """The proxy has it in its hands: its text so far, its ids, and that more is coming."""
    gate = Gate()
    pieces = sse_pieces(*text_stream("A ", "channel."))
    upstream.enqueue(stream_reply(*pieces[:5], gate, *pieces[5:], request_id="req_live"))
    asked = request_bytes("POST", f"{proxy.base_url}/responses", body=json.dumps(ASKED).encode())
    caller = threading.Thread(target=exchange, args=(proxy.port, asked))
    caller.start()
    try:
        gate.wait_until_reached()
        wait_until(lambda: "still coming" in show(trace_dir, "last").stdout, "its text on disk")
        told = shown(trace_dir, "last")
    finally:
        gate.open()
        caller.join()
    lines = [line.strip() for line in told.splitlines()]
    assert lines[lines.index("[still coming]") - 1] == "assistant     A"
    assert "request id    req_live" in lines
    assert "response id   resp_1" in lines
    assert "Running" in told
    assert "Missing" not in told


@pytest.mark.parametrize(
    ("part", "text"),
    [
        ("--request", '  "input": "back\\u001b[2Jwards"'),
        ("--curl", '"input":"back\\u001b[2Jwards"'),
        ("--events", "then\\x1b[2J"),
    ],
)
def test_parts_on_a_terminal_are_escaped(tmp_path: Path, part: str, text: str) -> None:
    """What would steer a terminal is shown as what stands for it; in JSON the value is the same."""
    body = '{"model":"gpt-5.5","stream":true,"input":"back\\u001b[2Jwards"}'
    with recording(tmp_path / "traces") as record:
        record.call(*sse_pieces(*text_stream("then\x1b[2J")), body=body.encode())
        record.close()
    with PseudoTerminal(["show", "last", part], tmp_path, columns=120) as terminal:
        assert terminal.wait() == 0
        assert any(text in line for line in terminal.lines), terminal.lines


CALLED = function_call_item("shell", {"command": "ls"}, call_id="call_7")
GAVE = {"type": "function_call_output", "call_id": "call_7", "output": "a.py"}


def chained(record: Recording) -> None:
    """A call of a tool, and a request that chains to it with what the tool gave."""
    record.call(*sse_pieces(*function_call_stream(CALLED)), body=ASKED)
    then = {**ASKED, "previous_response_id": "resp_1", "input": [GAVE]}
    record.call(*sse_pieces(*text_stream("One file.", response_id="resp_2")), body=then)


def test_a_tool_is_named_that_was_called_before(tmp_path: Path) -> None:
    """The request has what it gave alone; where the call before is gone, nothing is made up."""
    with recording(tmp_path) as record:
        chained(record)
        bundle = only_bundle(record.close())
    assert "  shell gave    a.py" in shown(tmp_path, "last")
    for payload in (bundle / "payloads").iterdir():
        if b'"output_items"' in payload.read_bytes() and b"call_7" in payload.read_bytes():
            payload.unlink()
    assert "  tool gave     a.py" in shown(tmp_path, "last")


def test_a_missed_cache_has_its_reason(tmp_path: Path) -> None:
    """What the prompt changed in, where the call continues another; not where all was cached."""
    told = {}
    for instructions in ("Be brief.", "Be long."):
        with recording(tmp_path / instructions) as record:
            asked = {**ASKED, "instructions": "Be brief."}
            record.call(*sse_pieces(*text_stream("A ", "channel.")), body=asked)
            answer = ev_completed("resp_2", usage=usage(2000, 7, cached_tokens=1920))
            then = {"previous_response_id": "resp_1", "instructions": instructions}
            record.call(*sse_pieces(ev_created("resp_2"), answer), body={**ASKED, **then})
            record.close()
        told[instructions] = shown(tmp_path / instructions, "last")
    assert (
        "  cache         The prompt is another one from here on: the instructions changed"
        in (told["Be long."])
    )
    assert "  cache " not in told["Be brief."]
    assert "  cache " not in shown(tmp_path / "Be long.", str(call_id(1)))


@pytest.mark.parametrize(
    ("columns", "shown_type"),
    [(70, " …n_call_arguments.delta "), (140, " function_call_arguments.delta ")],
)
def test_events_on_a_narrow_terminal(tmp_path: Path, columns: int, shown_type: str) -> None:
    """A long type gives way to what the event says; its end tells most."""
    with recording(tmp_path / "traces") as record:
        chained(record)
        record.close()
    with PseudoTerminal(["show", str(call_id(1)), "--events"], tmp_path, columns=columns) as screen:
        assert screen.wait() == 0
        line = screen.wait_for("arguments.delta", '{"command"')
        assert shown_type in line
