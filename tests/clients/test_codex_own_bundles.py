"""Bundles that the real Codex wrote of its work reduce as its own reducer reduces them."""

import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.codex_comparison import TOOL_CALL, assert_reduces_as_codex_reduces
from tests.support.codex_model import CUT, CodexModel, Request, custom_call, output_of
from tests.support.codex_run import CodexRun
from tests.support.events import (
    Item,
    function_call_item,
    function_call_stream,
    message_item,
    text_stream,
)
from tests.support.reduced import State, reduced
from tests.support.responses_socket import ResponsesSocket, Take, says
from tests.support.script import GUARD_S

PATCH = "*** Begin Patch\n*** Add File: a.txt\n+hello\n*** End Patch\n"
SEARCH: Item = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "x"},
}
MCP_SERVER = """\
import json, sys
TOOL = {"name": "echo", "description": "Echo", "inputSchema": {"type": "object"}}
SERVER = {"capabilities": {"tools": {}}, "serverInfo": {"name": "tiny", "version": "1"}}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = {}
    if message["method"] == "initialize":
        result = SERVER | {"protocolVersion": message["params"]["protocolVersion"]}
    elif message["method"] == "tools/list":
        result = {"tools": [TOOL]}
    elif message["method"] == "tools/call":
        result = {"content": [{"type": "text", "text": "echoed"}]}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def call(name: str, call_id: str, namespace: str | None = None, **arguments: object) -> Item:
    """The model's call of a function."""
    item = function_call_item(name, arguments, call_id=call_id, item_id=f"fc_{call_id}")
    return item if namespace is None else {**item, "namespace": namespace}


def search_call(call_id: str, query: str) -> Item:
    """The model's search for tools."""
    item = {"id": "ts_1", "type": "tool_search_call", "call_id": call_id, "status": "completed"}
    return {**item, "execution": "client", "arguments": {"query": query, "limit": 4}}


def named(pattern: str, request: Request, call_id: str) -> str:
    """What Codex named something, in what a tool gave back."""
    found = re.search(pattern, output_of(request, call_id))
    assert found is not None, output_of(request, call_id)
    return found[1]


def compared(codex: CodexRun, tmp_path: Path) -> State:
    """Our state of the run's one bundle, which is Codex's."""
    assert_reduces_as_codex_reduces(codex.bundles(), tmp_path)
    return reduced(codex.bundles())


def kinds_of(state: State) -> set[str]:
    """The kinds of tools that were called."""
    return {tool["kind"].get("name", tool["kind"]["type"]) for tool in state["tool_calls"].values()}


def test_tools(codex: CodexRun, tmp_path: Path) -> None:
    """Commands, what is typed into them, patches, searches, and calls of the wrong kind."""
    session: list[int] = []

    def answer(request: Request, before: int) -> list[Item]:
        match before:
            case 0:
                script = "read x; echo got-$x"
                return [call("exec_command", "c1", cmd=script, tty=True, yield_time_ms=250)]
            case 1:
                session.append(int(named(r"session ID (\d+)", request, "c1")))
                typed = call("write_stdin", "c2", session_id=session[0], chars="hey\n")
                return [typed, call("write_stdin", "c3", session_id=9)]
            case 2:
                wrong = [call("no_such_tool", "c5"), call("exec_command", "c6", cmd=5)]
                return [custom_call("apply_patch", PATCH, "c4"), *wrong, SEARCH]
            case _:
                return [message_item("Done.")]

    with CodexModel(answer) as model:
        codex.use_custom_provider(model.base_url)
        assert codex.execute("Go.").returncode == 0
    state = compared(codex, tmp_path)
    assert kinds_of(state) == {"exec_command", "write_stdin", "apply_patch", "no_such_tool"}
    assert len(state["terminal_operations"]) == 3
    assert len(state["terminal_sessions"]) == 2


def test_code_cells(codex: CodexRun, tmp_path: Path) -> None:
    """Code that calls tools, yields and is waited for, fails, and is ended."""
    slow = '// @exec: {"yield_time_ms": 20}\n'

    def answer(request: Request, before: int) -> list[Item]:
        cell = r"cell ID (\w+)"
        match before:
            case 0:
                code = 'const r = await tools.exec_command({cmd: "echo hi"}); text(r.output);'
                return [custom_call("exec", code, "k1")]
            case 1:
                sleep = f'{slow}text("a"); await new Promise(r => setTimeout(r, 300)); text("b");'
                return [custom_call("exec", sleep, "k2")]
            case 2:
                waited = named(cell, request, "k2")
                return [call("wait", "w1", cell_id=waited, yield_time_ms=5000)]
            case 3:
                endless = f"{slow}await new Promise(r => setTimeout(r, 60000));"
                return [custom_call("exec", 'throw "no"', "k3"), custom_call("exec", endless, "k4")]
            case 4:
                ended = named(cell, request, "k4")
                unknown = call("wait", "w3", cell_id="nowhere")
                return [call("wait", "w2", cell_id=ended, terminate=True), unknown]
            case _:
                return [message_item("Done.")]

    with CodexModel(answer) as model:
        codex.use_custom_provider(model.base_url, tables="\n[features]\ncode_mode = true\n")
        assert codex.execute("Go.").returncode == 0
    cells = compared(codex, tmp_path)["code_cells"].values()
    assert [cell["runtime_status"] for cell in cells] == [
        "completed",
        "completed",
        "failed",
        "terminated",
    ]
    assert [bool(cell["wait_tool_call_ids"]) for cell in cells] == [False, True, False, True]


def test_agents(codex: CodexRun, tmp_path: Path) -> None:
    """A sub-agent that is spawned, told more, waited for, given another task and interrupted."""
    roots: list[str] = []
    steps: list[Item] = [
        call("spawn_agent", "s1", "collaboration", task_name="helper", message="TASK"),
        call("send_message", "s2", "collaboration", target="helper", message="NOTE"),
        call("wait_agent", "s3", "collaboration", timeout_ms=10000),
        call("followup_task", "s4", "collaboration", target="helper", message="MORE"),
        call("wait_agent", "s5", "collaboration", timeout_ms=10000),
        call("interrupt_agent", "s6", "collaboration", target="helper"),
        call("send_message", "s7", "collaboration", target="nobody", message="X"),
        message_item("Done."),
    ]

    def answer(request: Request, before: int) -> list[Item]:
        thread = request["client_metadata"]["thread_id"]
        roots[:] = roots or [thread]
        if thread == roots[0]:
            return [steps[before]]
        if before == 0:
            return [call("exec_command", "child's", cmd="echo in-child")]
        return [message_item(f"answer {before}", f"msg_{before}")]

    with CodexModel(answer) as model:
        codex.use_custom_provider(model.base_url, tables="\n[features]\nmulti_agent_v2 = true\n")
        assert codex.execute("Go.").returncode == 0
    state = compared(codex, tmp_path)
    assert {edge["kind"] for edge in state["interaction_edges"].values()} == {
        "spawn_agent",
        "send_message",
        "assign_agent_task",
        "agent_result",
        "close_agent",
    }
    assert len(state["threads"]) == 2


def test_mcp_tool(codex: CodexRun, tmp_path: Path) -> None:
    """A tool that is searched for and called on an MCP server, and one that is not there."""
    server = tmp_path / "server.py"
    server.write_text(MCP_SERVER)
    tables = f'\n[mcp_servers.tiny]\ncommand = "{sys.executable}"\nargs = ["{server}"]\n'

    def answer(request: Request, before: int) -> list[Item]:
        match before:
            case 0:
                return [search_call("t1", "echo")]
            case 1:
                return [call("echo", "m1", "mcp__tiny"), call("nothing", "m2", "mcp__tiny")]
            case _:
                return [message_item("Done.")]

    with CodexModel(answer) as model:
        approve = 'default_tools_approval_mode = "approve"\n'
        codex.use_custom_provider(model.base_url, tables=tables + approve)
        assert codex.execute("Go.").returncode == 0
    tools = compared(codex, tmp_path)["tool_calls"]
    assert tools["m1"]["mcp_call_id"] is not None
    assert tools["m1"]["execution"]["status"] == "completed"


def test_compaction_and_resumed_session(codex: CodexRun, tmp_path: Path) -> None:
    """A history that upstream compacted, after a stream that broke, and the session's next run."""

    def answer(request: Request, before: int) -> Any:
        if request["input"][-1].get("type") == "compaction_trigger":
            return [{"id": "cmp_1", "type": "compaction", "encrypted_content": "SUMMARY"}]
        match before:
            case 0:
                return CUT
            case 1:
                return [call("exec_command", "c1", cmd="echo one")]
            case _:
                return [message_item(f"Done {before}.", f"msg_{before}")]

    with CodexModel(answer) as model:
        compacting = "model_auto_compact_token_limit = 5"
        codex.use_custom_provider(model.base_url, name="OpenAI", settings=compacting)
        assert codex.execute("Go.").returncode == 0
        (first,) = codex.bundles()
        assert codex.execute("And on.", resume=True).returncode == 0
    (second,) = (bundle for bundle in codex.bundles() if bundle != first)
    for bundle in (first, second):
        assert_reduces_as_codex_reduces([bundle], tmp_path)
    state = reduced([first])
    assert len(state["compactions"]) == 1
    ends = [run["execution"]["status"] for run in state["inference_calls"].values()]
    assert sorted(ends) == ["completed", "completed", "failed"]
    assert list(reduced([second])["threads"]) == list(state["threads"])


def test_interrupt(codex: CodexRun, tmp_path: Path) -> None:
    """A command that still runs when the user breaks off."""

    def answer(request: Request, before: int) -> list[Item]:
        return [call("exec_command", "c1", cmd="sleep 60", yield_time_ms=30000)]

    with CodexModel(answer) as model:
        codex.use_custom_provider(model.base_url)
        with codex.start("Go.") as process:
            assert process.stderr is not None
            shown = next((line for line in process.stderr if "sleep 60" in line), None)
            assert shown is not None, "codex never ran the command"
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=GUARD_S)
    (turn,) = compared(codex, tmp_path)["codex_turns"].values()
    assert turn["execution"]["status"] == "cancelled"


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "deflated"])
def test_websocket(codex: CodexRun, tmp_path: Path, *, compressed: bool) -> None:
    """The same over a WebSocket, where a request holds only what is new."""
    with ResponsesSocket(takes_compression=compressed) as upstream:
        answer = text_stream("All ", "done.", response_id="resp_2", item_id="msg_2")
        tool_call = function_call_stream(TOOL_CALL, response_id="resp_1")
        upstream.enqueue(Take(), says(*tool_call), Take(), says(*answer))
        codex.use_custom_provider(f"{upstream.url}/v1", websockets=True)
        assert codex.execute("Run the tool.").returncode == 0
    (tool,) = compared(codex, tmp_path)["tool_calls"].values()
    assert tool["model_visible_output_item_ids"]
