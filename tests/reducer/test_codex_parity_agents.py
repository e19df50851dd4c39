"""What goes between threads reduces as Codex's own reducer reduces it: edges and their ends."""

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest

from tests.reducer.items import assistant, compaction, user
from tests.support.parity import Json, assert_parity, assert_refused_and_told
from tests.support.runtime_bundles import (
    CHILD,
    CHILD_PATH,
    CHILD_TURN,
    RuntimeBuilder,
    activity,
    agent_message,
    collaboration,
    invocation,
)

UNKNOWN_THREAD = "01a205fa-6917-76f2-a60b-c38a2d47d418"
ACTIVITIES = {
    "spawn_agent": "started",
    "assign_agent_task": "interacted",
    "send_message": "interacted",
    "close_agent": "interrupted",
}


@pytest.fixture
def bundle(tmp_path: Path) -> RuntimeBuilder:
    """A bundle whose root thread and its child are in a turn each."""
    return RuntimeBuilder(tmp_path / "bundle").with_turns(child=True)


def send(bundle: RuntimeBuilder, tool: str, kind: str = "send_message", text: str = "M") -> None:
    """Start a tool call that tells the child something."""
    bundle.tool(tool, kind, invocation=invocation(kind, {"message": text, "target": "helper"}))


def edges_of(state: Json) -> Json:
    """The edges of a state."""
    edges = state["interaction_edges"]
    assert isinstance(edges, dict)
    return edges


@pytest.mark.parametrize("kind", ACTIVITIES)
@pytest.mark.parametrize("order", list(permutations(["finish", "show", "end"])))
def test_activity(bundle: RuntimeBuilder, kind: str, order: tuple[str, ...]) -> None:
    """What the runtime tells, what the other model is shown and the result come in any order."""
    send(bundle, "k", kind)
    for step in order:
        if step == "finish":
            bundle.finish("k", activity(ACTIVITIES[kind]))
        elif step == "show":
            bundle.start("c1", CHILD_TURN, [user("a"), agent_message("head", encrypted="M")])
        else:
            bundle.end_tool("k", {"any": "result"})
    assert len(edges_of(assert_parity(bundle.write()))) == 1


def test_spawn_that_no_item_shows(bundle: RuntimeBuilder) -> None:
    """A spawn ends at the thread where its message was never shown, other messages nowhere."""
    for kind, step in ACTIVITIES.items():
        send(bundle, kind, kind)
        bundle.finish(kind, activity(step))
        bundle.finish(kind, activity(step))
        bundle.end_tool(kind, {"any": "result"})
    assert len(edges_of(assert_parity(bundle.write()))) == 2


@pytest.mark.parametrize(
    "item",
    [
        agent_message("M"),
        agent_message(None, encrypted="M"),
        agent_message("M", encrypted="another"),
        agent_message("M", author="/elsewhere"),
        agent_message("M", recipient="/elsewhere"),
        assistant("M"),
        assistant(
            json.dumps(
                {
                    "author": "/root",
                    "recipient": CHILD_PATH,
                    "other_recipients": [],
                    "content": "M",
                    "trigger_turn": True,
                }
            )
        ),
        assistant(json.dumps({"author": "/root", "recipient": CHILD_PATH, "content": "M"})),
    ],
    ids=[
        "text",
        "encrypted",
        "text before encrypted",
        "of another",
        "to another",
        "plain",
        "as JSON",
        "as JSON without trigger",
    ],
)
def test_what_shows_a_message(bundle: RuntimeBuilder, item: Json) -> None:
    """An item shows a message where author, recipient and content are the message's."""
    send(bundle, "k")
    bundle.finish("k", activity("interacted"))
    bundle.start("c1", CHILD_TURN, [item])
    send(bundle, "l")
    bundle.finish("l", activity("interacted"))
    bundle.start("c2", CHILD_TURN, [item, item])
    assert_parity(bundle.write())


def test_equal_messages_have_an_item_each(bundle: RuntimeBuilder) -> None:
    """Each item ends one edge, the oldest; those in a response count too."""
    for tool in ("a", "b", "c", "d"):
        send(bundle, tool)
    bundle.finish("b", activity("interacted"))
    bundle.finish("a", activity("interacted"))
    bundle.start("c1", CHILD_TURN, [agent_message("M")])
    bundle.complete("c1", [agent_message("M"), agent_message("M")])
    bundle.finish("c", activity("interacted"))
    bundle.finish("d", activity("interacted"))
    bundle.start("c2", CHILD_TURN, [agent_message("M", id="i")])
    assert_parity(bundle.write())


@pytest.mark.parametrize("kind", ACTIVITIES)
def test_older_events(bundle: RuntimeBuilder, kind: str) -> None:
    """What the runtime told before it told of activities is read too, at the start and the end."""
    told = collaboration("M", new_thread_id=CHILD, model="m", reasoning_effort="low")
    bundle.tool("k", kind)
    bundle.begin("k", told, kind)
    bundle.start("c1", CHILD_TURN, [agent_message("M")])
    bundle.tool("l", kind)
    bundle.begin("l", told | {"prompt": "N"}, kind)
    bundle.finish("l", told | {"prompt": "N"})
    bundle.end_tool("l", {"any": "result"})
    assert_parity(bundle.write())


def test_other_spellings_of_a_thread(bundle: RuntimeBuilder) -> None:
    """A UUID is one thread however it is spelled; one that is in no thread has no edge."""
    send(bundle, "k", "close_agent")
    bundle.finish("k", activity("interrupted", CHILD.upper()))
    send(bundle, "l", "close_agent")
    bundle.finish("l", activity("interrupted", UNKNOWN_THREAD))
    send(bundle, "m", "spawn_agent")
    bundle.finish("m", activity("started", UNKNOWN_THREAD))
    assert len(edges_of(assert_parity(bundle.write()))) == 1


@pytest.mark.parametrize("said", [[], ["one", "two"]], ids=["nothing", "words"])
@pytest.mark.parametrize("shown", ["before", "after", "never"])
def test_result(bundle: RuntimeBuilder, said: list[str], shown: str) -> None:
    """A result comes from the child's last words, or from its thread where it said nothing."""
    result = agent_message("R", author=CHILD_PATH, recipient="/root")
    bundle.start("c1", CHILD_TURN, [user("a"), assistant("of before")] if said else [user("a")])
    bundle.complete("c1", [assistant(text) for text in said])
    if shown == "before":
        bundle.start("c2", "t", [result])
    bundle.agent_result("edge:r", "R", carried={"message": "R"})
    bundle.agent_result("edge:r", "R")
    if shown == "after":
        bundle.start("c3", "t", [result])
    assert_parity(bundle.write())


def test_message_received_before_it_is_shown(bundle: RuntimeBuilder) -> None:
    """A message is an item once received; the request that shows it has the last word."""
    bundle.receive(agent_message("M", id="i1"), thread=CHILD, turn=CHILD_TURN)
    bundle.receive(agent_message("M", id="i1"), thread=CHILD, turn=CHILD_TURN)
    bundle.receive(agent_message("N", id="i2"), thread=CHILD, turn=None)
    bundle.receive(agent_message("O", id="i3"), turn="nowhere")
    send(bundle, "k")
    bundle.finish("k", activity("interacted"))
    changed = agent_message("N2", id="i2", author="/elsewhere")
    bundle.start("c1", CHILD_TURN, [user("a"), agent_message("M", id="i1"), changed])
    bundle.start("c2", CHILD_TURN, [user("a"), changed, agent_message("M", id="i1"), changed])
    bundle.receive(agent_message("other", id="i1"), thread=CHILD, turn=CHILD_TURN)
    assert_parity(bundle.write())


@pytest.mark.parametrize("first", ["response", "compaction", "without id", "user"])
def test_received_message_is_shown_elsewhere(bundle: RuntimeBuilder, first: str) -> None:
    """Whatever shows a received message first takes it, by its id."""
    received = agent_message("M", id="i")
    bundle.start("c1", CHILD_TURN, [user("a"), agent_message("M")])
    bundle.receive(received, thread=CHILD, turn=CHILD_TURN)
    if first == "response":
        bundle.complete("c1", [agent_message("other", id="i")])
    elif first == "compaction":
        checkpoint = {"input_history": [received], "replacement_history": [compaction("E")]}
        bundle.event(
            "compaction_installed",
            thread=CHILD,
            turn=CHILD_TURN,
            compaction_id="k",
            checkpoint_payload=bundle.payload("compaction_checkpoint", checkpoint),
        )
    elif first == "user":
        bundle.start("c2", CHILD_TURN, [user("b", id="i")])
    bundle.start("c3", CHILD_TURN, [user("a"), received, agent_message("other", id="i")])
    assert_parity(bundle.write())


def _other_activity(bundle: RuntimeBuilder) -> None:
    send(bundle, "k", "spawn_agent")
    bundle.finish("k", activity("interacted"))


def _activity_of_another_tool(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", "web")
    bundle.finish("k", activity("started"))


def _no_message(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", "send_message", invocation=invocation("send_message", {}))
    bundle.finish("k", activity("interacted"))


def _no_invocation(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", "send_message")
    bundle.finish("k", activity("interacted"))


def _no_receiver(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", "send_message")
    bundle.begin("k", {"call_id": "c", "prompt": "M"}, "send_message")


def _other_message_of_one_tool(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", "send_message")
    bundle.begin("k", collaboration("M"), "send_message")
    bundle.finish("k", collaboration("N"))


def _other_end_of_one_edge(bundle: RuntimeBuilder) -> None:
    send(bundle, "k")
    bundle.finish("k", activity("interacted"))
    bundle.start("c1", CHILD_TURN, [agent_message("M"), agent_message("M")])
    bundle.finish("k", activity("interacted"))


def _other_message_under_an_id(bundle: RuntimeBuilder) -> None:
    bundle.receive(agent_message("M", id="i"), item_id="j")


def _no_message_received(bundle: RuntimeBuilder) -> None:
    bundle.receive(user("M", id="i"))


@pytest.mark.parametrize(
    "scenario",
    [
        _other_activity,
        _activity_of_another_tool,
        _no_message,
        _no_invocation,
        _no_receiver,
        _other_message_of_one_tool,
        _other_end_of_one_edge,
        _other_message_under_an_id,
        _no_message_received,
    ],
    ids=lambda scenario: scenario.__name__.strip("_"),
)
def test_what_codex_refuses_is_told(
    bundle: RuntimeBuilder, scenario: Callable[[RuntimeBuilder], None]
) -> None:
    """Where Codex's reducer gives up over an agent ours goes on, with a diagnostic."""
    scenario(bundle)
    assert_refused_and_told(bundle.write())
