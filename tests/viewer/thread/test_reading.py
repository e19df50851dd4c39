"""A conversation as the model saw it: its requests in their order, each with what was new in it."""

from pathlib import Path

import pytest

from reducer.cache import Verdict
from tests.reducer.items import (
    assistant,
    compaction,
    function_call,
    function_output,
    reasoning,
    user,
)
from tests.reducer.linked import Caller
from tests.reducer.two_calls import usage
from tests.support.bundles import Json
from tests.support.events import sse_pieces, text_stream
from tests.support.recording import SSE_HEAD, recording
from tracing.call import Waits
from tracing.terminal import TransportEnd
from viewer.call.story import EntryKind
from viewer.catalog.catalog import Catalog
from viewer.catalog.queries import find_calls
from viewer.catalog.rows import CallFilter, Usage
from viewer.thread.comparing import compare
from viewer.thread.reading import read_thread
from viewer.thread.view import ThreadRequest, ThreadView

from .conversations import call_named, caller_in, indexed


@pytest.fixture
def caller(tmp_path: Path) -> Caller:
    """A bundle, to be filled."""
    return caller_in(tmp_path)


def thread_of(caller: Caller, call: str, **part: int) -> ThreadView:
    """The conversation that a call is in."""
    with indexed(caller) as catalog:
        return read_thread(catalog, call_named(catalog, call).conversation, **part)


def said(request: ThreadRequest) -> list[tuple[str, str]]:
    """Who said what, of what is new in a request."""
    return [(entry.who, entry.text) for entry in request.new_input]


def calls_of(view: ThreadView) -> list[str]:
    """The calls that requests ended with, in the order in which they are told."""
    return [request.call.call_id for request in view.requests]


def test_stateless_conversation_shows_what_is_new(caller: Caller) -> None:
    """What is sent again with every request is told once, and counted."""
    begun = [user("a"), assistant("A")]
    caller.call("c1", [user("a")], "A")
    caller.call("c2", [*begun, user("b")], "B")
    caller.call("c3", [*begun, user("b"), assistant("B"), user("c")], "C")
    view = thread_of(caller, "c2")
    assert calls_of(view) == ["c1", "c2", "c3"]
    assert [said(each) for each in view.requests] == [
        [("user", "a")],
        [("user", "b")],
        [("user", "c")],
    ]
    assert [each.repeated for each in view.requests] == [0, 2, 4]
    assert [each.gone for each in view.requests] == [0, 0, 0]
    assert [entry.text for each in view.requests for entry in each.output] == ["A", "B", "C"]
    assert view.requests[2].new_input[0].pointer == "/input/4"
    assert [(each.depth, each.parent, each.children) for each in view.requests] == [
        (0, None, (1,)),
        (1, 0, (2,)),
        (2, 1, ()),
    ]


def test_chained_conversation_reads_alike(caller: Caller) -> None:
    """A request that names the response before it holds nothing but what is new."""
    caller.call("c1", "a", "A", response_id="r1")
    body: Json = {"model": "m", "input": [user("b")], "previous_response_id": "r1"}
    caller.call("c2", body, "B", response_id="r2")
    whole = [user("a"), assistant("A"), user("b"), assistant("B"), user("c")]
    caller.call("c3", whole)
    view = thread_of(caller, "c3")
    assert [said(each) for each in view.requests] == [
        [("user", "a")],
        [("user", "b")],
        [("user", "c")],
    ]
    assert [each.repeated for each in view.requests] == [0, 0, 4]


def test_tool_output_goes_by_the_name_of_its_tool(caller: Caller) -> None:
    """Who chains by id sends the output alone: the call of the tool was in the response before."""
    caller.call("c1", "a", [function_call("k", "{}", name="get_time")], response_id="r1")
    body: Json = {"input": [function_output("k", "noon")], "previous_response_id": "r1"}
    caller.call("c2", body, "It is noon.")
    (entry,) = thread_of(caller, "c2").requests[1].new_input
    assert (entry.kind, entry.who, entry.text) == (EntryKind.TOOL_OUTPUT, "get_time", "noon")


def test_branches_stand_one_after_the_other(caller: Caller) -> None:
    """The way that most requests went is told whole, then each other one from where it leaves."""
    begun = [user("a"), assistant("A")]
    caller.call("c1", [user("a")], "A")
    caller.call("side", [*begun, user("other")], "O")
    caller.call("c2", [*begun, user("b")], "B")
    caller.call("c3", [*begun, user("b"), assistant("B"), user("c")], "C")
    view = thread_of(caller, "side")
    assert calls_of(view) == ["c1", "c2", "c3", "side"]
    assert [(each.number, each.start, each.length, each.forks_from) for each in view.branches] == [
        (0, 0, 3, None),
        (1, 3, 1, 0),
    ]
    assert [each.branch for each in view.requests] == [0, 0, 0, 1]
    assert [each.is_branch_point for each in view.requests] == [True, False, False, False]
    assert view.requests[0].children == (3, 1)
    assert (view.requests[3].parent, view.requests[3].depth) == (0, 1)
    assert said(view.requests[3]) == [("user", "other")]


def test_attempts_are_one_request(caller: Caller) -> None:
    """A retry stands beside what it tries again, and the last attempt tells what came."""
    sent: Json = {"path": "/", "retry_count": 0, "request": {"sha256": "s"}}
    caller.start("c1", "a", proxy=sent)
    caller.bundle.fail("c1", proxy={"http_status": 500})
    caller.call("c2", "a", "A", proxy={**sent, "retry_count": 1})
    caller.call("c3", [user("a"), assistant("A"), user("b")], "B")
    view = thread_of(caller, "c1")
    assert [[row.call_id for row in each.attempts] for each in view.requests] == [
        ["c1", "c2"],
        ["c3"],
    ]
    assert [entry.text for entry in view.requests[0].output] == ["A"]
    assert (view.request_count, view.call_count) == (2, 3)


def test_compacted_history_is_gone(caller: Caller) -> None:
    """What a summary took the place of is counted, and the summary is what is new."""
    caller.call("c1", [user("a"), assistant("A"), user("b")], "B", thread="t")
    caller.call("c2", [compaction("E"), user("b"), assistant("B"), user("c")], "C", thread="t")
    request = thread_of(caller, "c1").requests[1]
    assert [entry.kind for entry in request.new_input] == [EntryKind.COMPACTION, EntryKind.MESSAGE]
    assert (request.repeated, request.gone) == (2, 2)
    assert request.cache is not None
    assert [change.reason for change in request.cache.changes] == ["context_compacted"]


def test_reasoning_that_is_left_out_is_not_gone(caller: Caller) -> None:
    """Many clients cannot send it back; what they do send back is not new."""
    caller.call("c1", "a", [reasoning(summary="hm", encrypted="E"), assistant("A")])
    caller.call("c2", [user("a"), assistant("A"), user("b")])
    caller.call("c3", [user("a"), reasoning(encrypted="E"), assistant("A"), user("c")])
    view = thread_of(caller, "c1")
    assert [(each.repeated, each.gone) for each in view.requests[1:]] == [(3, 0), (2, 0)]
    assert [said(each) for each in view.requests[1:]] == [[("user", "c")], [("user", "b")]]


def test_item_reference_is_not_new(caller: Caller) -> None:
    """It stands for what the model said before."""
    caller.call("c1", "a", [{**assistant("A"), "id": "msg_1"}])
    caller.call("c2", [user("a"), {"type": "item_reference", "id": "msg_1"}, user("b")])
    assert said(thread_of(caller, "c2").requests[1]) == [("user", "b")]


def test_instructions_are_told_where_they_are_new(caller: Caller) -> None:
    """They stand before the conversation, and are sent with every request."""

    def body(instructions: str | None, *items: object) -> Json:
        return {"model": "m", "instructions": instructions, "input": list(items)}

    begun = [user("a"), assistant("A"), user("b")]
    caller.call("c1", body("Be short.", user("a")), "A")
    caller.call("c2", body("Be short.", *begun), "B")
    caller.call("c3", body("Be long.", *begun, assistant("B"), user("c")), "C")
    last = [*begun, assistant("B"), user("c"), assistant("C"), user("d")]
    caller.call("c4", body(None, *last))
    view = thread_of(caller, "c1")
    assert [each.instructions for each in view.requests] == ["Be short.", None, "Be long.", ""]
    cache = view.requests[2].cache
    assert cache is not None
    assert [change.reason for change in cache.changes] == ["instructions_changed"]


def test_tokens_and_cache_are_told_of_each_request(caller: Caller) -> None:
    """And of the conversation as a whole."""
    caller.start("c1", [user("a")])
    caller.bundle.complete("c1", [assistant("A")], usage=usage(2000, 0))
    caller.start("c2", [user("a"), assistant("A"), user("b")])
    caller.bundle.complete("c2", [assistant("B")], usage=usage(2100, 1920))
    view = thread_of(caller, "c1")
    verdicts = [each.cache.verdict for each in view.requests if each.cache]
    assert verdicts == [Verdict.NOT_CACHED, Verdict.CACHED]
    assert view.usage == Usage(
        input_tokens=4100,
        cached_input_tokens=1920,
        output_tokens=10,
        reasoning_output_tokens=0,
    )


def long_conversation(caller: Caller, count: int) -> None:
    """So many calls, each of which names the response before it."""
    for number in range(count):
        body: Json = {"model": "m", "input": [user(f"q{number}")]}
        if number:
            body["previous_response_id"] = f"resp of c{number - 1}"
        caller.call(f"c{number}", body, f"a{number}")


def test_part_of_a_long_conversation_reads_its_own_payloads(caller: Caller) -> None:
    """However long it is, no more is read than what is shown, and what that continues."""
    long_conversation(caller, 40)
    path = caller.bundle.write()
    with indexed(caller) as catalog:
        conversation = call_named(catalog, "c0").conversation
        for number in range(1, 81):  # a request and a response for each call, in turn
            if number <= 2 * 19 or number > 2 * 25:
                (path / "payloads" / f"{number}.json").unlink()
        view = read_thread(catalog, conversation, start=20, limit=5)
    assert [said(each) for each in view.requests] == [
        [("user", f"q{number}")] for number in range(20, 25)
    ]
    assert [each.missing for each in view.requests] == [()] * 5
    assert (view.start, view.request_count, view.next_start) == (20, 40, 25)


def test_part_around_a_call(caller: Caller) -> None:
    """Who comes from a call finds it in the middle, also near an end."""
    long_conversation(caller, 20)
    with indexed(caller) as catalog:
        first, late = call_named(catalog, "c0"), call_named(catalog, "c15")
        view = read_thread(catalog, first.conversation, limit=4, at=late.id)
        assert calls_of(view) == ["c13", "c14", "c15", "c16"]
        assert read_thread(catalog, first.conversation, limit=4, at=first.id).start == 0
        with pytest.raises(KeyError):
            read_thread(catalog, first.conversation, at=10_000)
        with pytest.raises(KeyError):
            read_thread(catalog, 10_000)
        assert read_thread(catalog, first.conversation, start=1_000).requests == ()


def test_many_new_items_are_cut_to_the_latest(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first request may hold a whole history: its end is what matters here."""
    monkeypatch.setattr("viewer.thread.reading.NEW_ITEMS_MAX", 2)
    caller.call("c1", [user(text) for text in "abcde"], "A")
    (request,) = thread_of(caller, "c1").requests
    assert said(request) == [("user", "d"), ("user", "e")]
    assert request.not_shown == 3


def test_no_more_is_read_than_is_affordable(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not read for its size is said to be so."""
    monkeypatch.setattr("viewer.thread.reading.BYTES_MAX", 1)
    long_conversation(caller, 3)
    requests = thread_of(caller, "c0").requests
    assert said(requests[0]) == [("user", "q0")]
    assert requests[2].new_input == ()
    too_much = "was not read: there is too much here to read at once."
    assert requests[2].missing == (f"The request {too_much}", f"The response {too_much}")


@pytest.mark.parametrize(
    ("payload", "missing"),
    [
        (None, "The request (payloads/3.json) cannot be read: its file is missing."),
        (b"no json", "The request (payloads/3.json) cannot be read: it is no JSON."),
        (b"[]", "The request (payloads/3.json) cannot be read: it is no JSON object."),
        (
            b'{"input": [], "proxy": {"lost": "metadata"}}',
            "The request was not kept whole: metadata.",
        ),
    ],
)
def test_request_that_is_not_there_is_said_to_be_missing(
    caller: Caller, payload: bytes | None, missing: str
) -> None:
    """The rest of the conversation is told all the same."""
    long_conversation(caller, 3)
    if payload is None:
        del caller.bundle.files["payloads/3.json"]
    else:
        caller.bundle.files["payloads/3.json"] = payload
    with indexed(caller) as catalog:
        row = call_named(catalog, "c1")
        view = read_thread(catalog, row.conversation)
    request = next(each for each in view.requests if each.call.call_id == "c1")
    assert request.missing == (missing,)
    assert (request.new_input, request.gone, request.cache) == ((), 0, None)
    assert [entry.text for entry in request.output] == ["a1"]


def test_bundle_that_is_gone_is_told(caller: Caller) -> None:
    """It may have been pruned since the catalog was read."""
    long_conversation(caller, 2)
    with indexed(caller) as catalog:
        conversation = call_named(catalog, "c0").conversation
        (caller.bundle.path / "trace.jsonl").unlink()
        view = read_thread(catalog, conversation)
    assert len(view.requests) == 2
    assert "is gone: it was pruned, or moved away" in view.requests[0].missing[0]


def test_lone_surrogates_and_depth_do_no_harm(caller: Caller) -> None:
    """Bundles hold what anybody sent: it can be shown, and written, whatever it is."""
    deep = "[" * 400 + "]" * 400
    caller.call("c1", "a", "A", response_id="r1")
    caller.call("c2", {"input": [user("b")], "previous_response_id": "r1"})
    items = f'[{{"role": "user", "content": "x\\ud800y"}}, {deep}]'
    body = f'{{"previous_response_id": "r1", "input": {items}}}'
    caller.bundle.files["payloads/3.json"] = body.encode()
    caller.bundle.write()
    view = thread_of(caller, "c1")
    texts = [entry.text for each in view.requests for entry in each.new_input]
    assert "x\ufffdy" in texts
    "".join(texts).encode()


def test_call_that_runs_shows_what_came_so_far(tmp_path: Path) -> None:
    """A conversation can be read while the model still speaks."""
    with recording(tmp_path) as record:
        trace = record.ask()
        trace.response_started(200, SSE_HEAD)
        for piece in sse_pieces(*text_stream("Hel", "lo")[:5]):
            trace.response_piece(piece)
        record.journal.flush()
        with Catalog.open(record.trace_dir) as catalog:
            catalog.refresh()
            (row,) = find_calls(catalog, CallFilter(), limit=2)
            (request,) = read_thread(catalog, row.conversation).requests
            after = compare(catalog, row, row).after
        trace.ended(TransportEnd.EOF, None, Waits())
        record.close()
    for output in (request.output, after.output):
        assert [(entry.text, entry.is_partial) for entry in output] == [("Hel", True)]
