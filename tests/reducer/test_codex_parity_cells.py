"""Code cells reduce as Codex's own reducer reduces them, whatever comes before what."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reducer.items import user
from tests.support.parity import assert_parity, assert_refused_and_told
from tests.support.runtime_bundles import (
    CHILD,
    CHILD_TURN,
    RuntimeBuilder,
    code_call,
    code_output,
    invocation,
)

STATUSES = ["starting", "running", "yielded", "completed", "failed", "terminated"]
TURN_STATUSES = ["running", "completed", "failed", "cancelled", "aborted"]


@pytest.fixture
def bundle(tmp_path: Path) -> RuntimeBuilder:
    """A bundle whose root thread and its child are in a turn each."""
    return RuntimeBuilder(tmp_path / "bundle").with_turns(child=True)


def seen(bundle: RuntimeBuilder, *calls: str) -> None:
    """Let the model say the calls that hold the code."""
    bundle.start("c1", "t", [user("a")])
    bundle.complete("c1", [code_call(call) for call in calls])


def test_course_of_a_cell(bundle: RuntimeBuilder) -> None:
    """A cell answers, yields, calls tools, is waited for and ends; the model sees its outputs."""
    seen(bundle, "k")
    bundle.tool("k", "exec", call="k")
    bundle.cell("1", "k")
    bundle.tool("nested b", "web", cell="1")
    bundle.cell_event("initial_response", "1", "yielded", {"a": 1})
    bundle.tool("nested a", cell="1")
    bundle.tool("wait", "other", invocation=invocation("wait", {"cell_id": "1"}))
    elsewhere = invocation("wait", {"cell_id": "elsewhere"}, tool_namespace="n")
    bundle.tool("wait for another", "other", invocation=elsewhere)
    bundle.cell_event("ended", "1", "completed", {"b": 1})
    bundle.start("c2", "t", [user("a"), code_call("k"), code_output("k")])
    bundle.start("c3", "t", [user("a"), code_call("k"), code_output("k"), code_output("k", "2")])
    assert_parity(bundle.write())


@pytest.mark.parametrize("steps", [("initial_response", "ended"), ("ended", "initial_response")])
@pytest.mark.parametrize("turn_status", TURN_STATUSES)
def test_statuses(bundle: RuntimeBuilder, steps: tuple[str, str], turn_status: str) -> None:
    """The first response is kept, the last status counts, and a turn's end ends what runs."""
    calls = [f"{one} {other}" for one in STATUSES for other in STATUSES]
    seen(bundle, *calls, "bare")
    bundle.cell("bare", "bare")
    for number, call in enumerate(calls):
        cell = str(number)
        bundle.cell(cell, call)
        for step, status in zip(steps, call.split(), strict=True):
            response = None if number % 3 else {"number": number}
            bundle.cell_event(step, cell, status, response)
            bundle.cell_event(step, cell, status, {"again": number})
    bundle.end_turn("t", turn_status)
    bundle.cell_event("ended", "0", "completed")
    bundle.cell_event("initial_response", "1", "yielded", {"late": 1})
    assert_parity(bundle.write())


@pytest.mark.parametrize("turn_status", TURN_STATUSES)
def test_cell_before_its_code_was_seen(bundle: RuntimeBuilder, turn_status: str) -> None:
    """What happened to a cell that waits for its code is told of it once the code is there."""
    bundle.start("c1", "t", [user("a")])
    calls = ["ended", "answered", "nothing", "never seen"]
    for number, call in enumerate(calls):
        bundle.tool(call, "exec", call=call)
        bundle.cell(str(number), call)
    for tool in ("z", "y", "x"):
        bundle.tool(tool, "web", cell="0")
    bundle.tool("wait", "other", invocation=invocation("wait", {"cell_id": "0"}))
    bundle.cell_event("initial_response", "0", "yielded", {"a": 1})
    bundle.cell_event("ended", "0", "completed", {"b": 1})
    bundle.cell_event("initial_response", "1", "failed")
    bundle.end_turn("t", turn_status)
    bundle.complete("c1", [*(code_call(call) for call in calls[:3]), code_output("ended")])
    bundle.tool("late", "web", cell="0")
    cells = assert_parity(bundle.write())["code_cells"]
    assert isinstance(cells, dict)
    assert len(cells) == 3


def test_cell_is_of_its_thread(bundle: RuntimeBuilder) -> None:
    """Names of the runtime are a thread's own, and so is the call that holds the code."""
    seen(bundle, "k", "m")
    bundle.start("c2", CHILD_TURN, [code_call("k"), code_call("l")])
    bundle.cell("1", "l", thread=CHILD, turn=CHILD_TURN)
    bundle.cell("1", "k")
    bundle.tool("k", "exec", call="k", thread=CHILD, turn=CHILD_TURN)
    bundle.tool("l", "exec", call="l", thread=CHILD, turn=CHILD_TURN)
    bundle.tool("nested", cell="1", thread=CHILD, turn=CHILD_TURN)
    bundle.event(
        "code_cell_started", turn="t", runtime_cell_id="2", model_visible_call_id="m", source_js=""
    )
    assert_parity(bundle.write())


def test_what_starts_a_cell(bundle: RuntimeBuilder) -> None:
    """Only a call of Codex's `exec` in the cell's own turn is told to have started it."""
    calls = ["exec", "other", "became exec", "was exec", "no turn", "other turn", "nested"]
    seen(bundle, *calls)
    bundle.turn("later")
    for number, call in enumerate(calls):
        bundle.cell(str(number), call)
    bundle.tool("exec", "exec", call="exec")
    bundle.tool("other", "other", call="other")
    for call, kind in (("became exec", "exec"), ("was exec", "web")):
        bundle.tool(call, "web" if kind == "exec" else "exec", call=call)
        bundle.begin(call, {}, kind)
    bundle.tool("no turn", "exec", call="no turn", turn=None)
    bundle.tool("other turn", "exec", call="other turn", turn="later")
    bundle.tool("nested", "exec", call="nested", cell="0")
    assert_parity(bundle.write())


def _twice(bundle: RuntimeBuilder) -> None:
    seen(bundle, "k")
    bundle.cell("1", "k")
    bundle.cell("2", "k")


def _twice_while_waiting(bundle: RuntimeBuilder) -> None:
    bundle.cell("1", "k")
    bundle.cell("1", "k")


def _one_name_for_two(bundle: RuntimeBuilder) -> None:
    bundle.cell("1", "k")
    bundle.cell("1", "l")


def _unknown(bundle: RuntimeBuilder) -> None:
    bundle.cell_event("ended", "1", "completed")


def _no_turn(bundle: RuntimeBuilder) -> None:
    seen(bundle, "k")
    bundle.cell("1", "k", turn=None)


def _unknown_status(bundle: RuntimeBuilder) -> None:
    bundle.cell("1", "k")
    bundle.cell_event("ended", "1", "gone")


def _tool_of_an_unknown_cell(bundle: RuntimeBuilder) -> None:
    bundle.tool("nested", cell="1")


def _waiting_for_nothing(bundle: RuntimeBuilder) -> None:
    bundle.tool("wait", "other", invocation=invocation("wait", {"cell_id": 1}))


@pytest.mark.parametrize(
    "scenario",
    [
        _twice,
        _twice_while_waiting,
        _one_name_for_two,
        _unknown,
        _no_turn,
        _unknown_status,
        _tool_of_an_unknown_cell,
        _waiting_for_nothing,
    ],
    ids=lambda scenario: scenario.__name__.strip("_"),
)
def test_what_codex_refuses_is_told(
    bundle: RuntimeBuilder, scenario: Callable[[RuntimeBuilder], None]
) -> None:
    """Where Codex's reducer gives up over a cell ours goes on, with a diagnostic."""
    scenario(bundle)
    assert_refused_and_told(bundle.write())
