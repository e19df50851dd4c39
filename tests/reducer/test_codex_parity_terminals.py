"""Terminals reduce as Codex's own reducer reduces them: operations, sessions and their results."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reducer.items import function_call, function_output
from tests.support.parity import Json, assert_parity, assert_refused_and_told
from tests.support.runtime_bundles import (
    CHILD,
    CHILD_TURN,
    RuntimeBuilder,
    begun,
    finished,
    invocation,
    said,
    stdin,
)

BY_CODE: Json = {"type": "code_mode_response"}
WHOLE: Json = {"chunk_id": "c", "exit_code": 3, "original_token_count": 4, "output": "o"}
RESULTS: list[object] = [
    None,
    said("text"),
    said(""),
    said([{"type": "input_text", "text": "a"}, {"type": "input_image"}, {"text": "b"}]),
    said([]),
    said(None),
    said({"b": [1.5, "é"], "a": None}),
    said(5),
    {"type": "direct_response", "response_item": "plain"},
    {"type": "direct_response", "response_item": None},
    {**BY_CODE, "value": WHOLE},
    {**BY_CODE, "value": ["c", 3, 4, "o"]},
    {**BY_CODE, "value": {"output": "o"}},
    {**BY_CODE, "value": {**WHOLE, "exit_code": "3"}},
    {**BY_CODE, "value": {**WHOLE, "original_token_count": 1.0}},
    {**BY_CODE, "value": {"exit_code": 3}},
    {**BY_CODE, "value": None},
    {**BY_CODE, "value": "text"},
    {"type": "error", "error": "Unknown process"},
    finished("1"),
    finished(None, "", -7),
]
WRONG_ARGUMENTS: list[object] = [
    {},
    {"session_id": None},
    {"session_id": ""},
    {"session_id": True},
    {"session_id": 1, "chars": None},
    {"session_id": 1, "chars": 5},
    {"session_id": 1, "yield_time_ms": -1},
    {"session_id": 1, "yield_time_ms": 1.0},
    {"session_id": 1, "max_output_tokens": "5"},
    {"session_id": 1, "yield_time_ms": 2**64},
    "no json",
    "[]",
]
RIGHT_ARGUMENTS: list[object] = [
    {"session_id": 1},
    {"session_id": "1", "chars": "é\n", "yield_time_ms": 2**64 - 1, "max_output_tokens": 0},
    '{"session_id": 1.50, "chars": "", "more": [1]}',
    '{"session_id": 1E3, "yield_time_ms": null}',
]


@pytest.fixture
def bundle(tmp_path: Path) -> RuntimeBuilder:
    """A bundle whose root thread and its child are in a turn each."""
    return RuntimeBuilder(tmp_path / "bundle").with_turns(child=True)


def write(bundle: RuntimeBuilder, tool: str, session: object, **fields: str) -> None:
    """Start a tool call that writes to a terminal."""
    bundle.tool(tool, "write_stdin", invocation=stdin(session), **fields)


def test_command(bundle: RuntimeBuilder) -> None:
    """A command is an operation in a terminal of its own, which the model sees by its tool call."""
    bundle.start("c1", "t", [function_call("k", "{}")])
    bundle.tool("k", call="k", invocation=invocation("exec_command", {"cmd": "a"}))
    bundle.begin("k", begun("1"))
    bundle.finish("k", finished("1"), "failed")
    bundle.end_tool("k", said("what the model is told"))
    bundle.start("c2", "t", [function_call("k", "{}"), function_output("k", "o")])
    bundle.tool("without process")
    bundle.begin("without process", begun())
    bundle.finish("without process", finished())
    bundle.tool("process known later")
    bundle.begin("process known later", begun())
    bundle.finish("process known later", finished("2"))
    bundle.tool("without end")
    bundle.begin("without end", begun("3"))
    bundle.end_tool("without end", said("not what the terminal gave"))
    assert_parity(bundle.write())


@pytest.mark.parametrize("result", RESULTS, ids=range(len(RESULTS)))
def test_results_of_writing(bundle: RuntimeBuilder, result: object) -> None:
    """What is told of a writing, by the runtime or to its caller, is read as Codex reads it."""
    write(bundle, "k", 1)
    bundle.end_tool("k", result, "cancelled")
    assert_parity(bundle.write())


def test_arguments_of_writing(bundle: RuntimeBuilder) -> None:
    """A writing that the model called wrongly has no operation; its tool call stays."""
    for number, arguments in enumerate([*RIGHT_ARGUMENTS, *WRONG_ARGUMENTS]):
        called = invocation("write_stdin", arguments)
        bundle.tool(f"k{number}", "write_stdin", invocation=called)
    bundle.tool("in a namespace", "write_stdin", invocation=stdin(1) | {"tool_namespace": "n"})
    bundle.tool("without invocation", "write_stdin")
    operations = assert_parity(bundle.write())["terminal_operations"]
    assert isinstance(operations, dict)
    assert len(operations) == len(RIGHT_ARGUMENTS)


def test_writing_that_the_runtime_tells_of(bundle: RuntimeBuilder) -> None:
    """A writing may be known by the runtime alone; its process may come at its end."""
    bundle.tool("command")
    bundle.begin("command", begun("1"))
    for number, text in enumerate(["typed", None]):
        bundle.tool(f"k{number}", "write_stdin")
        bundle.begin(f"k{number}", begun(interaction_input=text), "write_stdin")
        bundle.finish(f"k{number}", finished("1"))
    write(bundle, "both", 1)
    bundle.finish("both", finished("1", "seen"))
    bundle.end_tool("both", said("told"))
    assert_parity(bundle.write())


def test_processes_and_their_terminals(bundle: RuntimeBuilder) -> None:
    """A process id may come again: what is written goes to its latest terminal in the thread."""
    write(bundle, "before any", 1)
    for command in ("one", "two"):
        bundle.tool(command)
        bundle.begin(command, begun("1"))
        write(bundle, f"to {command}", 1)
        write(bundle, f"to {command} by text", "1")
    write(bundle, "other thread", 1, thread=CHILD, turn=CHILD_TURN)
    bundle.tool("late")
    bundle.begin("late", begun())
    write(bundle, "still two", 1)
    bundle.finish("late", finished("1"))
    write(bundle, "now late", 1)
    assert_parity(bundle.write())


def test_targets(bundle: RuntimeBuilder) -> None:
    """A writing whose command is told moves to that command's terminal, if it has one."""
    for number, command in enumerate(("one", "two", "never begun")):
        bundle.tool(command)
        if command != "never begun":
            bundle.begin(command, begun(str(number)))
    for number, target in enumerate(("one", "two", "one", "never begun")):
        write(bundle, f"k{number}", 9)
        bundle.stdin_target(f"k{number}", target)
    bundle.stdin_target("k1", "one")
    bundle.stdin_target("k2", "k2")
    bundle.stdin_target("never begun", "one")
    bundle.stdin_target("two", "one")
    write(bundle, "to nine again", 9)
    bundle.end_tool("k0", said("o"))
    assert_parity(bundle.write())


def test_chain_of_targets(bundle: RuntimeBuilder) -> None:
    """A terminal that its maker left stays while another writing is in it."""
    bundle.tool("command")
    bundle.begin("command", begun("1"))
    write(bundle, "a", 9)
    write(bundle, "b", 9)
    bundle.stdin_target("a", "command")
    assert_parity(bundle.write())
    bundle.stdin_target("b", "a")
    assert_parity(bundle.write())


def _other_process_at_the_end(bundle: RuntimeBuilder) -> None:
    bundle.tool("k")
    bundle.begin("k", begun("1"))
    bundle.finish("k", finished("2"))


def _begun_twice(bundle: RuntimeBuilder) -> None:
    bundle.tool("k")
    bundle.begin("k", begun("1"))
    bundle.begin("k", begun("1"))


def _moved_and_other_process(bundle: RuntimeBuilder) -> None:
    bundle.tool("k")
    bundle.begin("k", begun("1"))
    write(bundle, "w", 9)
    bundle.stdin_target("w", "k")
    bundle.finish("w", finished("9"))


def _no_exit_code(bundle: RuntimeBuilder) -> None:
    bundle.tool("k")
    bundle.begin("k", begun("1"))
    bundle.finish("k", {"aggregated_output": "o"})


def _no_command(bundle: RuntimeBuilder) -> None:
    bundle.tool("k")
    bundle.begin("k", {"cwd": "/"})


def _custom_call(bundle: RuntimeBuilder) -> None:
    custom = {"tool_name": "write_stdin", "payload": {"type": "custom", "input": "x"}}
    bundle.tool("k", "write_stdin", invocation=custom)


def _other_tool(bundle: RuntimeBuilder) -> None:
    bundle.tool("k", "write_stdin", invocation=invocation("other", {"session_id": 1}))


def _odd_result(bundle: RuntimeBuilder) -> None:
    write(bundle, "k", 1)
    bundle.end_tool("k", {"type": "brand_new"})


def _unknown_target(bundle: RuntimeBuilder) -> None:
    write(bundle, "k", 1)
    bundle.stdin_target("k", "nobody")


@pytest.mark.parametrize(
    "scenario",
    [
        _other_process_at_the_end,
        _begun_twice,
        _moved_and_other_process,
        _no_exit_code,
        _no_command,
        _custom_call,
        _other_tool,
        _odd_result,
        _unknown_target,
    ],
    ids=lambda scenario: scenario.__name__.strip("_"),
)
def test_what_codex_refuses_is_told(
    bundle: RuntimeBuilder, scenario: Callable[[RuntimeBuilder], None]
) -> None:
    """Where Codex's reducer gives up over a terminal ours goes on, with a diagnostic."""
    scenario(bundle)
    assert_refused_and_told(bundle.write())
