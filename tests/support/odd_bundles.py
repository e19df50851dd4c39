"""Generates bundles that Codex's reducer mostly refuses: each is odd in some of many ways."""

import json
from pathlib import Path

from hypothesis import strategies as st

from tests.support.bundles import BundleBuilder, Json

THREADS = ("root", "second")
ITEM_TYPES = (
    *("message", "agent_message", "reasoning", "function_call", "function_call_output"),
    *("custom_tool_call", "custom_tool_call_output", "tool_search_call", "web_search_call"),
    *("image_generation_call", "local_shell_call", "tool_search_output", "mcp_tool_call_output"),
    *("compaction", "compaction_summary", "context_compaction", "file_search_call"),
    *("code_interpreter_call", "code_interpreter_call_output", "computer_call"),
    *("computer_call_output", "shell_call", "shell_call_output", "apply_patch_call"),
    *("apply_patch_call_output", "mcp_call", "mcp_list_tools", "mcp_approval_request"),
    *("mcp_approval_response", "local_shell_call_output", "item_reference", "program"),
    *("program_output", "additional_tools", "configuration_update", "compaction_trigger"),
    *("multi_agent_call", "brand_new", ""),
)
"""Every item type of the Responses API, those that Codex knows first, and two of nobody."""

LONE = "LONE SURROGATE"
"""Stands for an escape that Codex refuses and no encoder writes."""

ids = st.sampled_from(["i1", "i2", "i3", "k1", "k2"])
texts = st.sampled_from(["", "a", "é" * 130, "\U0001f600", LONE, "\0", "x" * 250, '{"a":1.50}'])
scalars = st.none() | st.booleans() | st.sampled_from([0, -1, 2**70, 1.5, 1e300]) | texts
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "a"]), inner, max_size=3)
    ),
    max_leaves=5,
)
deep = st.integers(90, 120).map(lambda levels: json.loads("[" * levels + "]" * levels))
parts = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "output_text", "input_image", "summary_text"])},
    optional={"text": texts, "image_url": texts},
) | st.fixed_dictionaries(
    {"type": st.sampled_from(["reasoning_text", "encrypted_content", "refusal"])},
    optional={"text": texts, "encrypted_content": texts},
)
contents = texts | st.lists(parts, max_size=2) | values
fields: Json = {
    "id": ids,
    "call_id": ids,
    "role": st.sampled_from(["user", "assistant", "system", "developer", "tool", "critic"]),
    "content": contents,
    "summary": st.just([]) | contents,
    "encrypted_content": texts | st.none(),
    "arguments": texts | values,
    "input": texts | values,
    "output": contents | deep,
    "phase": st.sampled_from(["commentary", "final_answer", "odd"]),
    "name": st.sampled_from(["exec", "run"]),
    "author": texts,
    "recipient": texts,
    "action": values,
}
odd_fields = st.dictionaries(st.sampled_from(sorted(fields)), values, max_size=1)


@st.composite
def items(draw: st.DrawFn) -> object:
    """Any item: of any type or none, with fields that fit and fields that do not."""
    if draw(st.integers(0, 19)) == 0:
        return draw(values)
    item = {} if draw(st.integers(0, 5)) == 0 else {"type": draw(st.sampled_from(ITEM_TYPES))}
    for name in sorted(fields):
        strategy = fields[name]
        assert isinstance(strategy, st.SearchStrategy)
        if draw(st.booleans()):
            item[name] = draw(strategy)
    return {**item, **draw(odd_fields)}


item_lists = st.lists(items(), max_size=4)
inputs = st.one_of(item_lists, item_lists, item_lists, texts, values)


@st.composite
def requests(draw: st.DrawFn) -> object:
    """A request's body, which may chain from any response or none."""
    if draw(st.integers(0, 19)) == 0:
        return draw(values)
    request: Json = {"model": "m", "input": draw(inputs)}
    if draw(st.booleans()):
        names = ["resp c0", "resp c1", "resp c2", "resp c3", "prewarm", "unknown"]
        request["previous_response_id"] = draw(st.sampled_from(names))
    return request


def add_call(draw: st.DrawFn, bundle: BundleBuilder, number: int, turn: str) -> None:
    """A call that ends in one way, in two, or not at all."""
    call = f"c{number}"
    bundle.start(call, turn, draw(requests()))
    for end in draw(st.lists(st.sampled_from(["complete", "cancel", "fail"]), max_size=2)):
        output = draw(item_lists)
        response_id = f"resp {call}"
        if end == "complete":
            bundle.complete(call, output, response_id=response_id, usage=draw(values))
        else:
            ended = bundle.cancel if end == "cancel" else bundle.fail
            ended(call, output_items=output, proxy={"response_id": response_id})


def add_odd_event(draw: st.DrawFn, bundle: BundleBuilder, turn: str) -> None:
    """Something else that a bundle may hold."""
    match draw(st.integers(0, 10)):
        case 0:
            bundle.observed("tailrace.prewarm", {"response_id": "prewarm", "input": draw(inputs)})
        case 1:
            history = {"input_history": draw(item_lists), "replacement_history": draw(inputs)}
            payload = bundle.payload("compaction_checkpoint", history)
            bundle.event(
                "compaction_installed",
                thread="root",
                turn=turn,
                compaction_id=f"k{draw(st.integers(0, 1))}",
                checkpoint_payload=payload,
            )
        case 2:
            bundle.event("history_item_accepted", thread="root", item_id=draw(ids))
        case 3:
            bundle.end_turn(turn, draw(st.sampled_from(["completed", "aborted", "odd"])))
        case 4:
            bundle.event(draw(st.sampled_from(["other", "brand new"])), kind="x", summary="y")
        case 5:
            bundle.thread("second", metadata=draw(values))
        case 6:
            bundle.raw_line(b'{"schema_version": 2, "se')
        case 8:
            bundle.event(
                "compaction_request_started",
                compaction_id=f"k{draw(st.integers(0, 1))}",
                compaction_request_id=draw(ids),
                thread_id="root",
                codex_turn_id=turn,
                model="m",
                provider_name="p",
                request_payload=bundle.payload("compaction_request", draw(requests())),
            )
        case 9:
            bundle.event(
                "compaction_request_completed",
                compaction_id="k0",
                compaction_request_id=draw(ids),
                response_payload=bundle.payload("compaction_response", draw(values)),
            )
        case 7:
            bundle.lines.append(draw(st.sampled_from(bundle.lines)))
        case _:
            bundle.end(draw(st.sampled_from(["completed", "odd"])))


@st.composite
def odd_bundles(draw: st.DrawFn) -> BundleBuilder:
    """A bundle of some calls, not yet on disk."""
    bundle = BundleBuilder(Path())
    turns = [f"t{number}" for number in range(3)]
    for turn in turns[: draw(st.integers(1, 3))]:
        bundle.turn(turn, thread=draw(st.sampled_from(THREADS)))
    for number in range(draw(st.integers(1, 5))):
        add_call(draw, bundle, number, draw(st.sampled_from(turns)))
        if draw(st.booleans()):
            add_odd_event(draw, bundle, draw(st.sampled_from(turns)))
    for name, data in bundle.files.items():
        bundle.files[name] = data.replace(LONE.encode(), b"\\ud83d")
    for name in draw(st.lists(st.sampled_from(sorted(bundle.files)), max_size=1)):
        if draw(st.booleans()):
            bundle.files[name] = b"{"
    return bundle
