"""Which call each call continues, within one bundle."""

from pathlib import Path

import pytest

from tests.reducer.items import assistant, function_call, function_output, reasoning, user
from tests.reducer.linked import Caller, all_continued, continued
from tests.reducer.states import codes_of
from tests.support.bundles import Json

SYSTEM: Json = {"role": "system", "content": "Be short."}


@pytest.fixture
def caller(tmp_path: Path) -> Caller:
    """A bundle with its root thread begun."""
    return Caller(tmp_path / "bundle")


def named(response_id: str, *items: object) -> Json:
    """A request that continues a response by its id."""
    return {"model": "m", "input": list(items), "previous_response_id": response_id}


def test_growing_input_is_linked_by_its_prefix(caller: Caller) -> None:
    """A stateless client sends the conversation again, its last answer in it."""
    caller.call("c1", "a", "A")
    caller.call("c2", [user("a"), assistant("A"), user("b")], "B")
    caller.call("c3", [user("a"), assistant("A"), user("b"), assistant("B"), user("c")])
    assert all_continued(caller.state()) == {
        "c1": None,
        "c2": ("c1", "prefix"),
        "c3": ("c2", "prefix"),
    }


def test_response_id_is_followed(caller: Caller) -> None:
    """What the client names is believed, and needs no more evidence."""
    caller.call("c1", "a", "A", response_id="r1")
    caller.call("c2", named("r1", user("b")))
    assert continued(caller.state(), "c2") == ("c1", "previous_response_id")


def test_cancelled_response_is_followed(caller: Caller) -> None:
    """The id of a response that was cancelled is known from the wire."""
    caller.start("c1", "a")
    caller.bundle.cancel("c1", output_items=[assistant("hal")], proxy={"response_id": "r1"})
    caller.call("c2", named("r1", user("b")))
    assert continued(caller.state(), "c2") == ("c1", "previous_response_id")


def test_response_whose_end_is_told_late_is_followed(caller: Caller) -> None:
    """A client may continue a response that it cancelled before we have told of the end."""
    caller.start("c1", "a")
    caller.start("c2", named("r1", user("b")))
    caller.bundle.cancel("c1", response_id="r1")
    assert continued(caller.state(), "c2") == ("c1", "previous_response_id")


def test_response_is_followed_through_a_prewarm(caller: Caller) -> None:
    """A prewarm is no call: what continues it continues what it continued."""
    caller.call("c1", "a", "A", response_id="r1")
    prewarm = {"response_id": "w1", "previous_response_id": "r1", "input": [], "output": []}
    caller.bundle.observed("tailrace.prewarm", prewarm)
    again = {"response_id": "w2", "previous_response_id": "w1", "input": [], "output": []}
    caller.bundle.observed("tailrace.prewarm", again)
    caller.call("c2", named("w2", user("b")))
    state = caller.state()
    assert continued(state, "c2") == ("c1", "previous_response_id")
    assert state["inference_calls"]["c2"]["proxy"]["continues_prewarm"] == "w2"


def test_prewarms_in_a_circle_end(caller: Caller) -> None:
    """Evidence that makes no sense is no reason to hang."""
    for one, other in (("w1", "w2"), ("w2", "w1")):
        prewarm = {"response_id": one, "previous_response_id": other, "input": [], "output": []}
        caller.bundle.observed("tailrace.prewarm", prewarm)
    caller.call("c1", named("w1", user("b")))
    assert continued(caller.state(), "c1") is None


def test_unknown_response_is_not_guessed(caller: Caller) -> None:
    """What continues a call that was not traced continues no other, in the same thread either."""
    caller.call("c1", [user("a")], "A", thread="t")
    caller.call("c2", named("r unknown", user("a"), user("b")), thread="t")
    state = caller.state()
    assert continued(state, "c2") is None
    assert codes_of(state) == ["unknown_previous_response"]


def test_tool_output_proves_the_call_behind_an_unknown_response(caller: Caller) -> None:
    """A tool's output answers the call that asked for it, whatever became of its response's id."""
    caller.start("c1", "a")
    caller.bundle.fail("c1", output_items=[function_call("k", "{}")])
    caller.call("c2", named("r unknown", function_output("k", "x")))
    assert continued(caller.state(), "c2") == ("c1", "call_id")


def test_response_id_wins_over_the_thread(caller: Caller) -> None:
    """A thread says which conversation, a response which point in it."""
    caller.call("c1", "a", "A", response_id="r1", thread="t")
    caller.call("c2", [user("a"), assistant("A"), user("b")], "B", thread="t")
    caller.call("c3", named("r1", user("c")), thread="t")
    assert continued(caller.state(), "c3") == ("c1", "previous_response_id")


def test_response_id_wins_over_a_tool_output(caller: Caller) -> None:
    """Where a client forks a conversation and sends another branch's output, the id decides."""
    caller.call("c1", "a", [function_call("k", "{}")], response_id="r1")
    caller.call("c2", "b", "B", response_id="r2")
    caller.call("c3", named("r2", function_output("k", "x")))
    assert continued(caller.state(), "c3") == ("c2", "previous_response_id")


def test_tool_loop_is_linked_by_the_call_id(caller: Caller) -> None:
    """The new output answers the call before, also where the history was edited since."""
    loop = [user("a"), function_call("k", "{}"), function_output("k", "x")]
    caller.call("c1", "a", [function_call("k", "{}")])
    caller.call("c2", loop, "B")
    caller.call("c3", [user("a, edited"), *loop[1:]], "C")
    assert all_continued(caller.state()) == {
        "c1": None,
        "c2": ("c1", "call_id"),
        "c3": ("c1", "call_id"),
    }


def test_old_tool_output_says_nothing(caller: Caller) -> None:
    """Only what is new since the model last spoke answers the call before."""
    loop = [user("a"), function_call("k", "{}"), function_output("k", "x")]
    caller.call("c1", "a", [function_call("k", "{}")])
    caller.call("c2", loop, "B")
    caller.call("c3", [*loop, assistant("B"), user("b")])
    assert continued(caller.state(), "c3") == ("c2", "prefix")


def test_call_id_that_two_calls_gave_needs_the_prefix(caller: Caller) -> None:
    """Some servers count tool calls anew in each response."""
    for call, text in (("c1", "a"), ("c2", "b")):
        caller.call(call, text, [function_call("call_0", "{}")])
    caller.call("c3", [user("a"), function_call("call_0", "{}"), function_output("call_0", "x")])
    caller.call("c4", [user("z"), function_call("call_0", "{}"), function_output("call_0", "x")])
    state = caller.state()
    assert continued(state, "c3") == ("c1", "call_id")
    assert continued(state, "c4") is None


def test_named_thread_links_what_nothing_else_links(caller: Caller) -> None:
    """After a compaction the input is another one, and the thread says that it goes on."""
    caller.call("c1", "a", "A", thread="t")
    caller.call("c2", [user("summary"), user("b")], thread="t")
    assert continued(caller.state(), "c2") == ("c1", "explicit")


def test_named_thread_goes_on_at_its_fitting_call(caller: Caller) -> None:
    """In a thread with branches, the items say which one goes on."""
    caller.call("c1", "a", "A", thread="t")
    caller.call("c2", [user("a"), assistant("A"), user("b")], "B", thread="t")
    caller.call("c3", [user("a"), assistant("A"), user("other")], "O", thread="t")
    both = [user("a"), assistant("A")]
    caller.call("c4", [*both, user("b"), assistant("B"), user("c")], thread="t")
    assert all_continued(caller.state()) == {
        "c1": None,
        "c2": ("c1", "explicit"),
        "c3": ("c1", "explicit"),
        "c4": ("c2", "explicit"),
    }


def test_same_request_again_is_a_branch(caller: Caller) -> None:
    """Who asks the same again wants another answer to it, not to continue the first."""
    asked = [user("a"), assistant("A"), user("b")]
    caller.call("c1", "a", "A", thread="t")
    caller.call("c2", asked, "B", thread="t")
    caller.call("c3", asked, "B2", thread="t")
    caller.call("c4", [*asked, assistant("B2"), user("c")], thread="t")
    state = caller.state()
    assert continued(state, "c3") == ("c1", "explicit")
    assert continued(state, "c4") == ("c3", "explicit")


def test_same_first_request_again_begins_anew(caller: Caller) -> None:
    """What nothing came before has nothing to continue, in a named thread either."""
    for call in ("c1", "c2"):
        caller.call(call, [user("a")], "A", thread="t")
    assert all_continued(caller.state()) == {"c1": None, "c2": None}


def test_calls_of_a_thread_that_still_run_are_not_continued(caller: Caller) -> None:
    """Two requests at once in one thread are no conversation with each other."""
    caller.start("c1", "a", thread="t")
    caller.start("c2", "b", thread="t")
    caller.bundle.complete("c1", [assistant("A")])
    caller.bundle.complete("c2", [assistant("B")])
    assert all_continued(caller.state()) == {"c1": None, "c2": None}


def test_call_that_came_to_nothing_is_passed_over_in_its_thread(caller: Caller) -> None:
    """A thread goes on from what was last said, where the input does not tell."""
    caller.call("c1", "a", "A", thread="t")
    caller.start("c2", "too long", thread="t")
    caller.bundle.fail("c2", error="HTTP 400")
    caller.call("c3", "summary", thread="t")
    assert continued(caller.state(), "c3") == ("c1", "explicit")


def test_calls_of_a_conversation_object_follow_one_another(caller: Caller) -> None:
    """With `conversation` the input holds new items alone, which may look like others."""
    for call, text in (("c1", "yes"), ("c2", "yes"), ("c3", "no")):
        body: Json = {"model": "m", "input": [user(text)], "conversation": {"id": "conv_1"}}
        caller.call(call, body, text.upper(), thread="conv_1")
    assert all_continued(caller.state()) == {
        "c1": None,
        "c2": ("c1", "explicit"),
        "c3": ("c2", "explicit"),
    }


def test_fork_is_two_branches_of_one_call(caller: Caller) -> None:
    """An edited question continues the same answer, and each branch goes on by itself."""
    begun = [user("a"), assistant("A")]
    caller.call("c1", [user("a")], "A")
    caller.call("c2", [*begun, user("b")], "B")
    caller.call("c3", [*begun, user("b2")], "B2")
    caller.call("c4", [*begun, user("b"), assistant("B"), user("c")])
    caller.call("c5", [*begun, user("b2"), assistant("B2"), user("c")])
    state = caller.state()
    assert all_continued(state) == {
        "c1": None,
        "c2": ("c1", "prefix"),
        "c3": ("c1", "prefix"),
        "c4": ("c2", "prefix"),
        "c5": ("c3", "prefix"),
    }
    assert state["diagnostics"] == []


def test_reasoning_that_is_not_sent_back_does_not_break_the_prefix(caller: Caller) -> None:
    """Without `store` and encrypted content a client has to leave it out."""
    caller.call("c1", "a", [reasoning(summary="hm"), assistant("A")])
    caller.call("c2", [user("a"), assistant("A"), user("b")])
    caller.call("c3", [user("a"), reasoning(encrypted="E"), assistant("A"), user("c")])
    state = caller.state()
    assert continued(state, "c2") == ("c1", "prefix")
    assert continued(state, "c3") == ("c1", "prefix")


def test_item_references_stand_for_what_the_model_said(caller: Caller) -> None:
    """A client may point to an item of the response in its place."""
    caller.call("c1", "a", [{**assistant("A"), "id": "msg_1"}])
    caller.call("c2", [user("a"), {"type": "item_reference", "id": "msg_1"}, user("b")])
    assert continued(caller.state(), "c2") == ("c1", "prefix")


def test_reference_that_was_not_known_yet_is_known_later(caller: Caller) -> None:
    """A request may point to what is told only after it."""
    body = [user("a"), {"type": "item_reference", "id": "msg_1"}, user("b")]
    caller.start("c1", [user("a")])
    caller.call("c2", body, "B")
    caller.bundle.complete("c1", [{**assistant("A"), "id": "msg_1"}])
    caller.call("c3", [*body, assistant("B"), user("c")])
    state = caller.state()
    assert continued(state, "c2") == ("c1", "prefix")
    assert continued(state, "c3") == ("c1", "prefix")


def test_answer_that_was_cut_is_continued_with_what_had_come(caller: Caller) -> None:
    """A client may keep the part of an answer that it had, or none of it."""
    partial = [{"output_index": 0, "item": assistant("hal", status="incomplete")}]
    caller.start("c1", "a")
    caller.bundle.cancel("c1", partial_items=partial)
    caller.call("c2", [user("a"), user("never mind")])
    caller.call("c3", "a", "Another answer.")
    caller.call("c4", [user("a"), assistant("hal"), user("go on")])
    state = caller.state()
    assert continued(state, "c2") == ("c1", "prefix")
    assert continued(state, "c4") == ("c1", "prefix")


def test_shared_instructions_are_no_conversation(caller: Caller) -> None:
    """Every conversation of an application begins with the same system message."""
    caller.call("c1", [SYSTEM], "A")
    caller.call("c2", [SYSTEM, user("b")])
    assert continued(caller.state(), "c2") is None


def test_prefix_is_the_longest_one(caller: Caller) -> None:
    """A conversation goes on at its end, not where it began."""
    caller.call("c1", [SYSTEM, user("a")], "A")
    caller.call("c2", [SYSTEM, user("a"), assistant("A"), user("b")], "B")
    longer = [SYSTEM, user("a"), assistant("A"), user("b"), assistant("B"), user("c")]
    caller.call("c3", longer)
    assert continued(caller.state(), "c3") == ("c2", "prefix")


def test_prefix_prefers_the_same_model_and_instructions(caller: Caller) -> None:
    """Models that are compared with each other may answer alike, and go on each by itself."""

    def body(model: str, instructions: str, *items: object) -> Json:
        return {"model": model, "instructions": instructions, "input": list(items)}

    for call, instructions in (("c1", "x"), ("c2", "y")):
        caller.call(call, body("m", instructions, user("a")), "A")
    for call, instructions in (("d1", "x"), ("d2", "y"), ("d3", "z")):
        caller.call(call, body("m", instructions, user("a"), assistant("A"), user("b")))
    state = caller.state()
    assert continued(state, "d1") == ("c1", "prefix")
    assert continued(state, "d2") == ("c2", "prefix")
    assert continued(state, "d3") == ("c2", "prefix")


def test_other_threads_are_linked_only_by_what_the_model_said(caller: Caller) -> None:
    """A thread that was forked has the other's answers; one that begins alike does not."""
    caller.call("c1", [SYSTEM, user("a")], "A", thread="t1")
    caller.call("c2", [SYSTEM, user("a"), user("b")], thread="t2")
    caller.call("c3", [SYSTEM, user("a"), assistant("A"), user("b")], thread="t3")
    caller.call("c4", "z", "Z")
    caller.call("c5", [user("z"), user("y")], thread="t5")
    state = caller.state()
    assert continued(state, "c2") is None
    assert continued(state, "c5") is None
    assert continued(state, "c3") == ("c1", "prefix")


def test_chain_that_goes_on_with_the_whole_input_is_linked(caller: Caller) -> None:
    """Codex sends it all again after a WebSocket broke: it continues the last of the chain."""
    caller.call("c1", [user("a")], "A", response_id="r1", thread="t")
    caller.call("c2", named("r1", user("b")), "B", response_id="r2", thread="t")
    whole = [user("a"), assistant("A"), user("b"), assistant("B"), user("c")]
    caller.call("c3", whole, thread="t")
    caller.call("c4", whole)
    state = caller.state()
    assert continued(state, "c3") == ("c2", "explicit")
    assert continued(state, "c4") == ("c2", "prefix")


def test_only_the_reducer_says_what_continues_what(caller: Caller) -> None:
    """What stands under these keys in the evidence is no reading of ours."""
    foreign = {"continues": {"call": "x", "by": "magic"}, "retry_of": {"call": "x"}}
    caller.call("c1", "a", proxy=foreign)
    state = caller.state()
    assert continued(state, "c1") is None
    assert "retry_of" not in state["inference_calls"]["c1"]["proxy"]


def test_requests_that_were_not_kept_are_linked_by_their_thread_alone(caller: Caller) -> None:
    """Without bodies nothing else is known; the recorder put a chained call in its thread."""
    lost: Json = {"input": [], "proxy": {"lost": "capture is metadata"}}
    caller.call("c1", lost, thread="thread:c1")
    caller.call("c2", lost, thread="thread:c1")
    caller.call("c3", lost)
    assert all_continued(caller.state()) == {"c1": None, "c2": ("c1", "explicit"), "c3": None}
