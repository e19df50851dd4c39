"""Two calls side by side: settings, tools, items, responses, and what broke the prompt cache."""

from pathlib import Path

import pytest

from tests.reducer.items import assistant, function_call, function_output, user
from tests.reducer.linked import Caller
from tests.support.bundles import Json
from viewer.thread.comparing import compare
from viewer.thread.comparison_view import Comparison, Sameness

from .conversations import call_named, caller_in, indexed

TOOL: Json = {"type": "function", "name": "get_time", "parameters": {"type": "object"}}


@pytest.fixture
def caller(tmp_path: Path) -> Caller:
    """A bundle, to be filled."""
    return caller_in(tmp_path)


def compared(caller: Caller, a: str, b: str) -> Comparison:
    """What is said of two calls."""
    with indexed(caller) as catalog:
        return compare(catalog, call_named(catalog, a), call_named(catalog, b))


def sames(comparison: Comparison) -> list[tuple[str, str]]:
    """What became of each item, by its text."""
    return [
        (str(item.sameness), entry.text)
        for item in comparison.items
        for entry in [item.after or item.before]
        if entry is not None
    ]


def test_call_that_goes_on_has_more_items(caller: Caller) -> None:
    """What it shares is equal; what was answered and asked since is added."""
    caller.call("c1", [user("a")], "A")
    caller.call("c2", [user("a"), assistant("A"), user("b")], "B")
    comparison = compared(caller, "c1", "c2")
    assert sames(comparison) == [("equal", "a"), ("added", "A"), ("added", "b")]
    assert comparison.is_continuation
    assert comparison.settings == ()
    assert [entry.text for entry in comparison.after.output] == ["B"]
    assert comparison.count(Sameness.ADDED) == 2
    assert not compared(caller, "c2", "c1").is_continuation


def test_item_that_changed_says_where(caller: Caller) -> None:
    """And its two forms stand side by side."""
    caller.call("c1", [user("What is it?", id="msg_1"), user("Please.")])
    caller.call("c2", [user("What was it?", id="msg_2"), user("Please.")])
    changed, equal = compared(caller, "c1", "c2").items
    assert changed.sameness is Sameness.CHANGED
    assert changed.what == 'from character 5: "What is it?" became "What was it?"'
    assert changed.before is not None
    assert changed.after is not None
    assert (changed.before.text, changed.after.text) == ("What is it?", "What was it?")
    assert equal.sameness is Sameness.EQUAL


def test_settings_and_tools_are_told_one_by_one(caller: Caller) -> None:
    """Tools go by their names, so that one among many is seen."""

    def body(**fields: object) -> Json:
        return {"model": "m", "input": "a", "tools": [TOOL], **fields}

    caller.call("c1", body(temperature=0.2, store=True))
    tools = [{**TOOL, "description": "Now."}, {"type": "web_search"}]
    caller.call("c2", body(model="n", temperature=0.7, tools=tools))
    settings = compared(caller, "c1", "c2").settings
    assert [(each.name, each.before, each.after) for each in settings] == [
        ("model", '"m"', '"n"'),
        ("temperature", "0.2", "0.7"),
        ("store", "true", None),
        (
            "tool get_time",
            '{"type":"function","name":"get_time","parameters":{"type":"o…',
            '{"type":"function","name":"get_time","parameters":{"type":"o…',
        ),
        ("tool web_search", None, '{"type":"web_search"}'),
    ]
    assert settings[3].what == '"Now." is new'
    assert settings[3].pointer == "/tools/0/description"


def test_tools_in_another_order(caller: Caller) -> None:
    """The model is shown them as they stand, so that the order counts."""
    other = {"type": "web_search"}
    caller.call("c1", {"input": "a", "tools": [TOOL, other]})
    caller.call("c2", {"input": "a", "tools": [other, TOOL]})
    (change,) = compared(caller, "c1", "c2").settings
    assert (change.name, change.what) == ("tools", "the same 2 stand in another order")


def test_what_broke_the_cache(caller: Caller) -> None:
    """It is what `explain_cache` says of the second call."""
    caller.call("c1", {"instructions": "It is 10:01.", "input": [user("a")]}, "A")
    caller.call("c2", {"instructions": "It is 10:02.", "input": [user("a"), user("b")]})
    comparison = compared(caller, "c1", "c2")
    change = comparison.cache.first_change
    assert change is not None
    assert (change.reason, change.pointer) == ("instructions_changed", "/instructions")
    assert comparison.before.instructions == "It is 10:01."
    assert comparison.after.instructions == "It is 10:02."


def chained(caller: Caller, *texts: str) -> None:
    """Calls of which each names the response before it."""
    for number, text in enumerate(texts):
        body: Json = {"model": "m", "input": [user(text)]}
        if number:
            body["previous_response_id"] = f"resp of c{number}"
        caller.call(f"c{number + 1}", body, text.upper())


def test_chained_calls_are_compared_whole(caller: Caller) -> None:
    """What they were shown is put together; only a request's own items have a place in it."""
    chained(caller, "a", "b", "c")
    comparison = compared(caller, "c2", "c3")
    assert comparison.before.is_whole
    assert sames(comparison) == [
        ("equal", "a"),
        ("equal", "A"),
        ("equal", "b"),
        ("added", "B"),
        ("added", "c"),
    ]
    entries = [item.after for item in comparison.items if item.after is not None]
    assert [entry.pointer for entry in entries] == ["", "", "", "", "/input/0"]


def test_long_chain_is_read_back_to_what_both_went_on_from(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was shown before that is the same for both, and need not be read."""
    monkeypatch.setattr("viewer.thread.comparing.CHAINED_MAX", 3)
    chained(caller, *"abcdefgh")
    fork: Json = {"input": [user("other")], "previous_response_id": "resp of c7"}
    caller.call("fork", fork, "O")
    comparison = compared(caller, "c8", "fork")
    assert comparison.common is not None
    assert comparison.common.call_id == "c7"
    assert sames(comparison) == [("equal", "g"), ("equal", "G"), ("changed", "other")]
    comparison = compared(caller, "c7", "c8")
    assert sames(comparison) == [("equal", "g"), ("added", "G"), ("added", "h")]
    far = compared(caller, "c1", "c8")
    assert (far.common, far.before.is_whole, far.after.is_whole) == (None, True, False)
    assert sames(far) == [("changed", "h")]


def test_chain_whose_beginning_is_not_known_is_compared_as_it_stands(caller: Caller) -> None:
    """Then each request's own items are all there is, and that is said."""
    unknown: Json = {"input": [user("x")], "previous_response_id": "unknown"}
    caller.call("c1", unknown, "X")
    caller.call("c2", [user("x"), assistant("X"), user("y")])
    comparison = compared(caller, "c1", "c2")
    assert (comparison.before.is_whole, comparison.after.is_whole) == (False, True)
    assert sames(comparison) == [("equal", "x"), ("added", "X"), ("added", "y")]
    assert not comparison.cache.is_compared


def test_tool_outputs_are_named(caller: Caller) -> None:
    """By the tool whose call stands before them in the same conversation."""
    loop = [user("a"), function_call("k", "{}", name="get_time"), function_output("k", "noon")]
    caller.call("c1", loop[:1], loop[1:2])
    caller.call("c2", loop)
    who = [item.after.who for item in compared(caller, "c1", "c2").items if item.after]
    assert who == ["user", "get_time", "get_time"]


def test_response_that_failed_says_why(caller: Caller) -> None:
    """There is nothing of it to compare, and the reason is told."""
    caller.call("c1", "a", "A")
    caller.start("c2", "a")
    caller.bundle.fail("c2", error="http 500: down")
    after = compared(caller, "c1", "c2").after
    assert after.output == ()
    assert after.error == "http 500: down"


def test_payload_that_is_damaged_is_told(caller: Caller) -> None:
    """What is known of both is compared all the same: nothing is said to be gone."""
    caller.call("c1", "a", "A")
    caller.call("c2", "a", "B")
    caller.bundle.files["payloads/1.json"] = b"no json"
    comparison = compared(caller, "c1", "c2")
    assert comparison.before.missing == (
        "The request (payloads/1.json) cannot be read: it is no JSON.",
    )
    assert [entry.text for entry in comparison.before.output] == ["A"]
    assert not comparison.has_both_requests
    assert (sames(comparison), comparison.settings) == ([], ())
