"""`tailrace diff`, as a person, a pipe and a script meet it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tailrace import main
from tests.reducer.items import assistant, user
from tests.reducer.linked import Caller
from tests.reducer.two_calls import usage
from tests.support.pseudo_terminal import PseudoTerminal

from .written_traces import (
    HOSTILE,
    write_codex_bundle,
    write_damaged_bundle,
    write_own_bundle,
)

HALF_PAIR = "\ud800"


pytestmark = pytest.mark.usefixtures("in_one_place")


@pytest.fixture
def caller(tmp_path: Path) -> Caller:
    """A bundle of the trace directory, to be filled."""
    return Caller(tmp_path / "traces" / "trace-1")


def diff(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, ["diff", *arguments], catch_exceptions=False)


def two_calls(caller: Caller) -> None:
    """A call and one that goes on from it, in whose instructions the time is another one."""

    def body(minute: int, temperature: float, *items: object) -> dict[str, object]:
        instructions = f"Be short.\nAt 10:0{minute}.\nBye."
        return {
            "model": "m",
            "temperature": temperature,
            "instructions": instructions,
            "input": list(items),
        }

    caller.start("call-one", body(1, 0.2, user("a")))
    caller.bundle.complete("call-one", [assistant("A")], usage=usage(2000, 0))
    caller.start("call-two", body(2, 0.7, user("a"), assistant("A"), user("b\nand c")))
    caller.bundle.complete("call-two", [assistant("B")], usage=usage(2100, 0))
    caller.bundle.write()


PRINTED = """\
--- call call-one  m  completed  2023-11-14T22:13:20  2,000 tokens in (0 cached), 5 out  10 ms
+++ call call-two  m  completed  2023-11-14T22:13:20  2,100 tokens in (0 cached), 5 out  10 ms
The second one continues the first, by what its input begins with.

Settings and tools
  temperature (/temperature)
- 0.2
+ 0.7

Instructions
    @@ -1,3 +1,3 @@
    Be short.
-   At 10:01.
+   At 10:02.
    Bye.

Input items: 1 equal, 2 added
  1 item as before
+ 2. assistant
+   A
+ 3. user
+   b
+   and c

Response
- assistant
-   A
+ assistant
+   B

Prompt cache of the second one
  None of 2,100 input tokens was read from the cache.
  The prompt is another one from here on: the instructions changed (/instructions: from\
 character 17: "Be short.\\nAt 10:01.\\nBye." became "Be short.\\nAt 10:02.\\nBye.").
  It began 30 ms after the call before ended.
"""


def test_two_calls_as_a_pipe_gets_them(caller: Caller) -> None:
    """All of it is plain text; what went has a minus before it, what came a plus."""
    two_calls(caller)
    result = diff("call-one", "call-two")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == PRINTED


def test_one_call_is_compared_with_what_it_continues(caller: Caller) -> None:
    """Which call that is, the links say; `last` will do."""
    two_calls(caller)
    assert diff("call-two").stdout == PRINTED
    assert diff("last").stdout == PRINTED


def test_what_cannot_be_read_is_not_said_to_be_gone(caller: Caller) -> None:
    """Of the one request that is there nothing is compared; the responses are."""
    two_calls(caller)
    (caller.bundle.path / "payloads" / "3.json").unlink()
    lines = diff("call-one", "call-two").stdout.splitlines()
    assert (
        "Of the second one: The request (payloads/3.json) cannot be read: its file is missing."
        in lines
    )
    assert "Settings, instructions and input items: not known of both" in lines
    assert "+   B" in lines
    assert not any("gone" in line or line.startswith("Input items") for line in lines)
    told = json.loads(diff("call-one", "call-two", "--json").stdout)
    assert (told["has_both_requests"], told["settings"], told["items"]) == (False, [], [])


def test_same_call_twice_is_said_to_be_one(caller: Caller) -> None:
    """And nothing else is said, such as how long after itself it began."""
    two_calls(caller)
    result = diff("call-one", "ll-one")
    assert (result.exit_code, result.stderr) == (0, "")
    (line,) = result.stdout.splitlines()
    assert line.startswith("Both are the same call: call call-one  m  completed")
    assert json.loads(diff("call-one", "call-one", "--json").stdout)["is_same_call"] is True


def test_call_that_continues_none_needs_another(caller: Caller) -> None:
    """The message says how to name it."""
    two_calls(caller)
    result = diff("call-one")
    assert result.exit_code == 1
    assert result.stderr == (
        "tailrace: call call-one continues no call that is known; name the one to compare it"
        " with: `tailrace diff OTHER call-one`\n"
    )


@pytest.mark.parametrize("arguments", [(), ("a", "b", "c")])
def test_one_or_two_calls_are_asked_for(caller: Caller, arguments: tuple[str, ...]) -> None:
    """Anything else is a usage error."""
    two_calls(caller)
    result = diff(*arguments)
    assert result.exit_code == 2
    assert "give one call, which is compared with what it continues, or two" in result.stderr


def test_unknown_call_is_an_error(caller: Caller) -> None:
    """It is named."""
    two_calls(caller)
    result = diff("call-one", "nobody")
    assert result.exit_code == 1
    assert "'nobody'" in result.stderr


def test_no_traces(tmp_path: Path) -> None:
    """Nothing was traced yet: what to do is said."""
    (tmp_path / "traces").mkdir()
    result = diff("last")
    assert result.exit_code == 1
    assert result.stderr.startswith("tailrace: no traces in ")


def test_json_has_all_of_it(caller: Caller) -> None:
    """One object, with the calls as other commands give them and the cache report."""
    two_calls(caller)
    (line,) = diff("call-one", "call-two", "--json").stdout.splitlines()
    value: dict[str, Any] = json.loads(line)
    assert value["before"]["call"]["inference_call_id"] == "call-one"
    assert value["after"]["call"]["proxy"]["continues"] == {"call": "call-one", "by": "prefix"}
    assert value["before"]["instructions"] == "Be short.\nAt 10:01.\nBye."
    assert value["settings"] == [
        {
            "name": "temperature",
            "pointer": "/temperature",
            "before": "0.2",
            "after": "0.7",
            "what": "0.2 became 0.7",
        }
    ]
    assert [item["sameness"] for item in value["items"]] == ["equal", "added", "added"]
    assert value["items"][2]["before"] is None
    assert value["items"][2]["after"]["pointer"] == "/input/2"
    assert value["after"]["output"][0]["text"] == "B"
    assert (value["is_continuation"], value["is_aligned"]) == (True, True)
    assert value["is_same_call"] is False
    assert value["cache"]["first_change"]["reason"] == "instructions_changed"


def test_hostile_text_steers_no_terminal(caller: Caller) -> None:
    """Wherever it stands: a model, an item, a setting, an answer, a tool."""
    for number in (1, 2):
        text = f"{HOSTILE.removesuffix(HALF_PAIR)} HALF {number}"
        body: dict[str, object] = {
            "model": text,
            "input": [user(text)],
            "instructions": text,
            text: text,
            "tools": [{"type": "function", "name": text}],
        }
        caller.call(f"c{number}", body, text)
    # JSON has its own way to write half of a surrogate pair.
    caller.bundle.files = {
        name: data.replace(b"HALF", b"\\ud800") for name, data in caller.bundle.files.items()
    }
    caller.bundle.write()
    result = diff("c1", "c2")
    assert result.exit_code == 0
    assert "\\x1b[2J" in result.stdout
    assert set(result.stdout) & set("\x1b\x07\u202e\r") == set()
    assert "\x1b" not in diff("c1", "c2", "--json").stdout


def test_any_two_calls_of_any_bundles(tmp_path: Path) -> None:
    """Of a damaged bundle, a live one and one that Codex made, what is there is compared."""
    trace_dir = tmp_path / "traces"
    write_own_bundle(trace_dir, ends=False)
    write_codex_bundle(trace_dir)
    write_damaged_bundle(trace_dir)
    listed = CliRunner().invoke(main, ["ls", "--json", "-n", "0"]).stdout.splitlines()
    calls = [json.loads(line)["inference_call_id"] for line in listed]
    assert len(calls) >= 5
    for before in calls:
        for after in calls:
            result = diff(before, after)
            assert result.exit_code == 0
            begins = "--- call" if before != after else "Both are the same call: call"
            assert result.stdout.startswith(f"{begins} {before}")


def test_payload_that_is_gone_is_told(caller: Caller) -> None:
    """The rest is compared, and the exit code is that of a comparison."""
    two_calls(caller)
    (caller.bundle.path / "payloads" / "1.json").unlink()
    result = diff("call-one", "call-two")
    assert result.exit_code == 0
    missing = "Of the first one: The request (payloads/1.json) cannot be read: its file is missing."
    assert missing in result.stdout.splitlines()


def test_terminal_shows_the_beginning_of_long_texts(caller: Caller, tmp_path: Path) -> None:
    """What is left out is counted, and where to get it is said."""
    caller.call("call-one", "a", "A")
    text = "\n".join(f"line {number}" for number in range(200))
    caller.call("call-two", [user("a"), assistant("A"), user(text)], "B")
    caller.bundle.write()
    with PseudoTerminal(["diff", "call-two"], tmp_path) as terminal:
        terminal.wait_for("Prompt cache of the second one")
        lines = terminal.lines
    assert "+   … 143 more lines, which a pipe gets: add `| less`" in lines
    assert len(diff("call-two").stdout.splitlines()) > 200
