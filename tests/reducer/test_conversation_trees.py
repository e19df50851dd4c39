"""Conversations as trees of logical requests."""

import json
from pathlib import Path

import pytest

from reducer.call_facts import CallKey, FactsCollector
from reducer.conversation_trees import Conversations, LogicalRequest
from reducer.links import link_calls
from reducer.trace_links import link_bundles
from tests.reducer.items import assistant, user
from tests.reducer.linked import Caller, call_record
from tests.support.bundles import Json

SENT: Json = {"path": "/", "retry_count": 0, "request": {"sha256": "s"}}
BEGUN = [user("a"), assistant("A")]


@pytest.fixture
def conversations(tmp_path: Path) -> Conversations:
    """A question retried once, its two continuations, one going on; and another conversation."""
    caller = Caller(tmp_path, trace_id="t")
    caller.start("c1", [user("a")], proxy=SENT)
    caller.bundle.fail("c1", proxy={"http_status": 500})
    caller.call("c2", [user("a")], "A", proxy={**SENT, "retry_count": 1})
    caller.call("left", [*BEGUN, user("l")], "L")
    caller.call("right", [*BEGUN, user("r")], "R")
    caller.call("other", [user("z")], "Z")
    caller.call("leaf", [*BEGUN, user("l"), assistant("L"), user("m")], "M")
    return Conversations(link_bundles([caller.bundle.write()]))


def key(call: str) -> CallKey:
    """A call of the bundle."""
    return CallKey("t", call)


def names(requests: list[LogicalRequest] | tuple[LogicalRequest, ...]) -> list[str]:
    """The first calls of some requests."""
    return [request.key.call_id for request in requests]


def test_roots_are_the_conversations(conversations: Conversations) -> None:
    """In the order in which they began."""
    assert names(conversations.roots) == ["c1", "other"]


def test_retries_are_attempts_of_one_request(conversations: Conversations) -> None:
    """What continues one attempt continues the request."""
    request = conversations.of(key("c2"))
    assert request.attempts == (key("c1"), key("c2"))
    assert request is conversations.of(key("c1"))
    assert request.children == (key("left"), key("right"))


def test_branch_points(conversations: Conversations) -> None:
    """Where a conversation goes on in more than one way."""
    assert names(conversations.branch_points) == ["c1"]
    assert conversations.of(key("c1")).is_branch_point
    assert not conversations.of(key("left")).is_branch_point


def test_child_tells_which_attempt_it_continues(conversations: Conversations) -> None:
    """The link is to the call that answered, the parent is its request."""
    left = conversations.of(key("left"))
    assert left.continues is not None
    assert (left.continues.call, left.parent, left.root) == (key("c2"), key("c1"), key("c1"))


def test_tree_is_walked_from_the_root(conversations: Conversations) -> None:
    """Each request after its parent, a branch whole before the next."""
    walked = [(d, request.key.call_id) for d, request in conversations.tree(key("c1"))]
    assert walked == [(0, "c1"), (1, "left"), (2, "leaf"), (1, "right")]


def test_path_leaves_other_branches_out(conversations: Conversations) -> None:
    """From the root to the call, and nothing beside it."""
    assert names(conversations.path_to(key("leaf"))) == ["c1", "left", "leaf"]


def test_unknown_call(conversations: Conversations) -> None:
    """A call that is in none of the bundles is an error that names it."""
    with pytest.raises(KeyError, match="nobody"):
        conversations.of(key("nobody"))


def test_json_form(conversations: Conversations) -> None:
    """One object a conversation, its requests in the order of the walk."""
    first, second = json.loads(json.dumps(conversations.as_json()))
    assert first["requests"][0] == {
        "attempts": [{"trace": "t", "call": "c1"}, {"trace": "t", "call": "c2"}],
        "continues": None,
        "children": [{"trace": "t", "call": "left"}, {"trace": "t", "call": "right"}],
    }
    assert first["requests"][1]["continues"] == {"trace": "t", "call": "c2", "by": "prefix"}
    assert [request["attempts"][0]["call"] for request in first["requests"]] == [
        *["c1", "left", "leaf", "right"]
    ]
    assert second["requests"][0]["children"] == []


def test_long_conversation_is_walked_without_recursion() -> None:
    """A conversation of thousands of rounds is as deep a tree."""
    rounds = 3000
    collector = FactsCollector()
    calls = []
    for number in range(rounds):
        collector.note_request(f"c{number}", {"previous_response_id": f"r{number - 1}"})
        proxy: Json = {"response_id": f"r{number}"}
        calls.append(call_record(f"c{number}", "completed", started_at=number, proxy=proxy))
    conversations = Conversations(link_calls([collector.facts("t", calls, {})]))
    (root,) = conversations.roots
    assert [depth for depth, _ in conversations.tree(root.key)] == list(range(rounds))
    assert len(conversations.path_to(key(f"c{rounds - 1}"))) == rounds
