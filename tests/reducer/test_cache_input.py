"""What changed in the input since the call before: the first item that is not as it was."""

from pathlib import Path

import pytest

from reducer import reduce_bundle
from reducer.cache import compare_prompts
from reducer.prompt import read_prompt
from tests.reducer.items import assistant, compaction, function_output, reasoning, user
from tests.reducer.two_calls import BODY, FIRST, TwoCalls, prompt_change, usage


@pytest.fixture
def two(tmp_path: Path) -> TwoCalls:
    """A bundle with a turn begun."""
    return TwoCalls(tmp_path)


INPUTS: list[tuple[list[object], str, str]] = [
    (
        [user("a!"), *FIRST[1:]],
        "/input/0/content/0/text",
        'from character 1: "a" became "a!"',
    ),
    (
        [*FIRST[:2], function_output("k", "y")],
        "/input/2/output",
        'from character 0: "x" became "y"',
    ),
    ([user("new"), *FIRST], "/input/0", "message user is new"),
    (FIRST[1:], "/input/0", "message user is gone"),
    (FIRST[:2], "/input", "function_call_output k and what follows it is gone"),
]


@pytest.mark.parametrize(("items", "pointer", "what"), INPUTS)
def test_input_that_changed(two: TwoCalls, items: list[object], pointer: str, what: str) -> None:
    """The first item that is not as it was, and what became of it."""
    two.first()
    report = two.second(items=items)
    assert report.changes == (prompt_change("input_changed", pointer, what),)


def test_reasoning_that_was_left_out_is_a_change(two: TwoCalls) -> None:
    """A prompt without the reasoning that it had is another one."""
    with_reasoning: list[object] = [user("a"), reasoning(encrypted="E"), assistant("A"), user("b")]
    two.first(items=with_reasoning)
    report = two.second(items=[user("a"), assistant("A"), user("b"), assistant("A"), user("c")])
    assert report.changes == (prompt_change("input_changed", "/input/1", "reasoning is gone"),)


def test_spelling_is_no_change(two: TwoCalls) -> None:
    """Ids and the form of a text are not shown to the model."""
    two.first(items=["odd", {"role": "user", "content": "a"}])
    report = two.second(items=["odd", user("a", id="msg_1"), assistant("A"), user("b")])
    assert (report.changes, report.first_new_item) == ((), "/input/2")


def test_compaction_is_told_as_one(two: TwoCalls) -> None:
    """A history that a summary took the place of begins anew."""
    two.first()
    report = two.second(items=[compaction("E"), user("b")])
    assert [change.reason for change in report.changes] == ["context_compacted"]


def test_chained_call_has_only_new_items(two: TwoCalls) -> None:
    """The server puts the rest before them as it was; settings are sent anew, and may differ."""
    two.first()
    report = two.second({"previous_response_id": "r1", "instructions": None}, items=[user("b")])
    assert [change.reason for change in report.changes] == ["instructions_changed"]
    assert report.first_new_item == "/input/0"


def test_input_that_continues_what_was_not_traced_is_not_compared(two: TwoCalls) -> None:
    """What the server held is not known, so that nobody can say that nothing changed."""
    two.first({"previous_response_id": "r untraced"}, items=[user("b")])
    report = two.second({"instructions": "Other."}, items=[user("a"), assistant("A"), user("b")])
    assert (report.before, report.is_compared, report.possible) == ("c1", False, ())
    assert [change.reason for change in report.changes] == ["instructions_changed"]


def test_string_input_is_pointed_to_as_a_whole(two: TwoCalls) -> None:
    """There is no first item in a string."""
    two.first()
    assert two.second({"previous_response_id": "r1"}, items="b").first_new_item == "/input"


def test_whole_input_after_a_chain_is_compared_with_all_of_it(two: TwoCalls) -> None:
    """What the server held for the chain is what the client has to send again."""
    two.first()
    body = {**BODY, "input": [user("b")], "previous_response_id": "r1"}
    two.bundle.start("c2", "t", body)
    two.bundle.complete("c2", [assistant("B")], response_id="r2", usage=usage(5100, 0))
    whole = [*FIRST, assistant("A"), user("b"), assistant("B"), user("c")]
    edited = [*FIRST, assistant("A"), user("edited"), assistant("B"), user("c")]
    for call, items in (("c3", whole), ("c4", edited)):
        two.bundle.start(call, "t", {**BODY, "input": items})
        two.bundle.complete(call, usage=usage(5200, 0))
    as_it_was = two.report("c3")
    assert (as_it_was.before, as_it_was.changes) == ("c2", ())
    assert as_it_was.first_new_item == "/input/5"
    path = two.bundle.path
    state = reduce_bundle(path)
    before = read_prompt(path, state, "c2", whole=True)
    report = compare_prompts(read_prompt(path, state, "c4"), before)
    assert [change.pointer for change in report.changes] == ["/input/4/content/0/text"]


def test_change_of_an_item_is_none_of_its_id(two: TwoCalls) -> None:
    """Ids and states are not shown to the model: what is told is what it was shown otherwise."""
    two.first(items=[user("a", id="msg_1", status="completed")])
    report = two.second(items=[user("b", id="msg_2", status="in_progress")])
    what = 'from character 0: "a" became "b"'
    assert report.changes == (prompt_change("input_changed", "/input/0/content/0/text", what),)
