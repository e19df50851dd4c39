"""Whatever stands in the events of tools, cells, terminals and agents, the bundle reduces."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from reducer import reduce_bundle, state_bytes
from tests.reducer.items import function_call, user
from tests.support.runtime_bundles import (
    CHILD_PATH,
    CHILD_TURN,
    RuntimeBuilder,
    activity,
    agent_message,
    begun,
    code_call,
    collaboration,
    finished,
    invocation,
    said,
    stdin,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


def filled(path: Path) -> RuntimeBuilder:
    """A bundle with an event of every kind that tells of what Codex did beside its calls."""
    bundle = RuntimeBuilder(path).with_turns(child=True)
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [function_call("k", "{}"), code_call("code")])
    bundle.tool("k", call="k", invocation=invocation("exec_command", {"cmd": "a"}))
    bundle.begin("k", begun("1"))
    bundle.tool("code", "exec", call="code")
    bundle.cell("1", "code")
    bundle.cell("2", "never seen")
    bundle.tool("w", "write_stdin", invocation=stdin(9), cell="1")
    bundle.stdin_target("w", "k")
    bundle.end_tool("w", said([{"text": "o"}]))
    bundle.finish("k", finished("1"))
    bundle.mcp_call("k", "mcp 1")
    bundle.tool("wait", "other", invocation=invocation("wait", {"cell_id": "1"}))
    bundle.cell_event("initial_response", "1", "yielded", {"a": 1})
    bundle.cell_event("ended", "2", "completed")
    bundle.tool("s", "send_message", invocation=invocation("send_message", {"message": "M"}))
    bundle.finish("s", activity("interacted"))
    bundle.tool("old", "spawn_agent")
    bundle.finish("old", collaboration("M", new_thread_id=CHILD_TURN))
    bundle.receive(agent_message("M", id="i"), turn=None)
    bundle.start("c2", CHILD_TURN, [agent_message("M")])
    bundle.agent_result("edge:r", "R", carried={"message": "R"})
    bundle.start("c3", "t", [agent_message("R", author=CHILD_PATH, recipient="/root")])
    bundle.end_turn("t", "aborted")
    return bundle


def test_the_bundle_itself_is_sound(tmp_path: Path) -> None:
    """What the other tests damage is a bundle with something of each family."""
    state = reduce_bundle(filled(tmp_path).write())
    families = ("tool_calls", "code_cells", "terminal_sessions", "terminal_operations")
    assert all(state[family] for family in (*families, "interaction_edges"))
    assert state["diagnostics"] == []


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_odd_values_never_raise(data: st.DataObject) -> None:
    """Any JSON value in any field of an event and of a payload, or none, gives a state."""
    with TemporaryDirectory() as directory:
        builder = filled(Path(directory) / "bundle")
        for _ in range(data.draw(st.integers(1, 3))):
            number = data.draw(st.integers(0, len(builder.lines) - 1))
            event = json.loads(builder.lines[number])
            spoil(data, data.draw(st.sampled_from([event, event.get("payload")])))
            builder.lines[number] = json.dumps(event).encode()
            file = data.draw(st.sampled_from(sorted(builder.files)))
            payload = json.loads(builder.files[file])
            spoil(data, payload)
            builder.files[file] = json.dumps(payload).encode()
        json.loads(state_bytes(reduce_bundle(builder.write())))


def spoil(data: st.DataObject, value: object) -> None:
    """Take a field of an object away, or put any value in its place, or do so further in."""
    if not isinstance(value, dict) or not value:
        return
    key = data.draw(st.sampled_from(sorted(value)))
    match data.draw(st.sampled_from(["into", "any value", "away"])):
        case "into":
            spoil(data, value[key])
        case "any value":
            value[key] = data.draw(json_values)
        case _:
            del value[key]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_lost_and_shuffled_lines_never_raise(data: st.DataObject) -> None:
    """Events that are missing, come twice or in another order give a state."""
    with TemporaryDirectory() as directory:
        builder = filled(Path(directory) / "bundle")
        order = data.draw(st.lists(st.integers(0, len(builder.lines) - 1), max_size=60))
        builder.lines = [builder.lines[number] for number in order]
        json.loads(state_bytes(reduce_bundle(builder.write())))
