"""Whatever a bundle holds, it reduces, and to the same bytes each time."""

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reducer import NotABundle, reduce_bundle, state_bytes
from reducer.export_codex import Selection, export_codex
from tests.reducer.items import assistant, function_call, reasoning, user
from tests.support.bundles import BundleBuilder, Json
from tests.support.codex_cli import REPO_ROOT


def filled(path: Path) -> BundleBuilder:
    """A bundle with an event of every kind that is folded."""
    bundle = BundleBuilder(path)
    bundle.thread("spawned", metadata={"session_source": {"subagent": {"thread_spawn": {}}}})
    bundle.turn("t")
    bundle.start("c1", "t", [user("a", id="u1")], proxy={"transport": "sse"})
    output = [reasoning(encrypted="E"), function_call("k", '{"n": 1.50}'), assistant("é", id="i")]
    usage = {"input_tokens": 1, "cached_input_tokens": 0, "output_tokens": 2}
    bundle.complete("c1", output, response_id="r1", usage=usage)
    bundle.event("history_item_accepted", thread="root", item_id="i")
    bundle.start("c2", "t", {"input": [user("b")], "previous_response_id": "r1"})
    partial = [{"output_index": 0, "item": assistant("hal", status="incomplete")}]
    bundle.cancel("c2", response_id="r2", partial_items=partial, proxy={"events": 3})
    checkpoint: Json = {"input_history": [user("b")], "replacement_history": [user("c")]}
    bundle.event(
        "compaction_installed",
        thread="root",
        turn="t",
        compaction_id="k",
        checkpoint_payload=bundle.payload("compaction_checkpoint", checkpoint),
    )
    bundle.observed("tailrace.prewarm", {"response_id": "r0", "input": "x", "output": []})
    bundle.start("c3", "t", {"input": "plain", "previous_response_id": "r0"})
    bundle.end_turn("t", "aborted")
    bundle.fail("c3", upstream_request_id="req")
    bundle.event("thread_ended", thread_id="root", status="aborted")
    bundle.event("tool_call_ended", result_payload=bundle.payload("tool_result", {}))
    bundle.end("aborted")
    return bundle


def codes(state: Json) -> list[object]:
    """The codes of a state's diagnostics."""
    diagnostics = state["diagnostics"]
    assert isinstance(diagnostics, list)
    return [diagnostic["code"] for diagnostic in diagnostics]


def test_every_prefix_of_the_event_log_replays(tmp_path: Path) -> None:
    """A crash can cut the log anywhere: each prefix is a state, and its torn tail a diagnostic."""
    builder = BundleBuilder(tmp_path)
    builder.turn("t")
    builder.start("c", "t", [user("a")], proxy={"path": "/é"})
    builder.cancel("c", output_items=[assistant("A")])
    builder.event("no such event")
    builder.end_turn("t")
    bundle = builder.write()
    log = bundle / "trace.jsonl"
    data = log.read_bytes()
    line_ends = {0} | {end for end, byte in enumerate(data, start=1) if byte == ord("\n")}
    whole_lines = line_ends | {end - 1 for end in line_ends}
    undamaged = codes(reduce_bundle(bundle))
    for end in range(len(data)):
        log.write_bytes(data[:end])
        state = reduce_bundle(bundle)
        assert ("torn_tail" in codes(state)) == (end not in whole_lines)
        others = [code for code in codes(state) if code != "torn_tail"]
        assert others == undamaged[: len(others)]


def flip(data: st.DataObject, file: Path, content: bytes) -> None:
    """Change one bit."""
    at = data.draw(st.integers(0, len(content) - 1))
    mask = 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content[:at] + bytes([content[at] ^ mask]) + content[at + 1 :])


def replace(data: st.DataObject, file: Path, content: bytes) -> None:
    """Cut bytes out, put others in, or both."""
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 20)))
    file.write_bytes(content[:start] + data.draw(st.binary(max_size=8)) + content[end:])


def cut(data: st.DataObject, file: Path, content: bytes) -> None:
    """Lose the end."""
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])


def reorder(data: st.DataObject, file: Path, content: bytes) -> None:
    """Have lines twice, in another order or not at all."""
    lines = content.splitlines(keepends=True)
    numbers = data.draw(st.lists(st.integers(0, len(lines) - 1), max_size=2 * len(lines)))
    file.write_bytes(b"".join(lines[number] for number in numbers))


def swap_lines(data: st.DataObject, file: Path, content: bytes) -> None:
    """Have two lines in each other's place."""
    lines = content.splitlines(keepends=True)
    one, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    lines[one], lines[other] = lines[other], lines[one]
    file.write_bytes(b"".join(lines))


def delete(_data: st.DataObject, file: Path, _content: bytes) -> None:
    """Lose the file."""
    file.unlink()


DAMAGES = (flip, replace, cut, reorder, swap_lines, delete)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_never_raises(data: st.DataObject) -> None:
    """However a bundle's bytes are damaged, it gives a state, the same one twice, and an export."""
    with TemporaryDirectory() as directory:
        bundle = filled(Path(directory) / "bundle").write()
        for _ in range(data.draw(st.integers(1, 4))):
            files = sorted(path for path in bundle.rglob("*.json*") if path.stat().st_size)
            file = data.draw(st.sampled_from([bundle / "trace.jsonl", *files]))
            if file in files:
                data.draw(st.sampled_from(DAMAGES))(data, file, file.read_bytes())
        if not (bundle / "trace.jsonl").exists():
            return
        first = state_bytes(reduce_bundle(bundle))
        json.loads(first)
        assert state_bytes(reduce_bundle(bundle)) == first
        assert list(export_codex(bundle, Selection()))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_odd_values_never_raise(data: st.DataObject) -> None:
    """Any JSON value in any field of an event, and any as a payload, gives a state."""
    with TemporaryDirectory() as directory:
        builder = filled(Path(directory) / "bundle")
        number = data.draw(st.integers(0, len(builder.lines) - 1))
        event = json.loads(builder.lines[number])
        target = data.draw(st.sampled_from([event, event["payload"]]))
        target[data.draw(st.sampled_from(sorted(target)))] = data.draw(json_values)
        builder.lines[number] = json.dumps(event).encode()
        file = data.draw(st.sampled_from(sorted(builder.files)))
        payload = json.loads(builder.files[file])
        if payload and isinstance(payload, dict) and data.draw(st.booleans()):
            payload[data.draw(st.sampled_from(sorted(payload)))] = data.draw(json_values)
        else:
            payload = data.draw(json_values)
        builder.files[file] = json.dumps(payload).encode()
        json.loads(state_bytes(reduce_bundle(builder.write())))


@pytest.mark.parametrize(
    "content",
    [
        b'"\\ud83d"',
        b"1e999",
        b"9" * 5000,
        b"[" * 300 + b"]" * 300,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"\\udead": NaN}',
        b"\xff",
        b"",
    ],
    ids=["surrogate", "huge float", "huge int", "deep", "deeper", "odd key", "no utf-8", "empty"],
)
def test_hostile_json_never_raises(tmp_path: Path, content: bytes) -> None:
    """JSON that one parser takes and another does not, in an event, an item and partial items."""
    bundle = BundleBuilder(tmp_path)
    bundle.turn("t")
    bundle.start("c1", "t", {"input": [{"type": "web_search_call", "x": "HOSTILE"}]})
    bundle.cancel("c1", partial_items=["HOSTILE"], proxy={"x": "HOSTILE"})
    bundle.lines = [line.replace(b'"HOSTILE"', content) for line in bundle.lines]
    for name, data in bundle.files.items():
        bundle.files[name] = data.replace(b'"HOSTILE"', content)
    state = reduce_bundle(bundle.write())
    assert codes(state)
    assert json.loads(state_bytes(state)) == state


def test_same_bytes_under_other_hash_seeds(tmp_path: Path) -> None:
    """The order of hashing, which changes from run to run, leaves no trace in the bytes."""
    bundle = filled(tmp_path).write()
    program = "import pathlib, sys, reducer; "
    program += "state = reducer.reduce_bundle(pathlib.Path(sys.argv[1])); "
    program += "sys.stdout.buffer.write(reducer.state_bytes(state))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program, bundle],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=REPO_ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert outputs == {state_bytes(reduce_bundle(bundle))}


def test_maps_are_sorted(tmp_path: Path) -> None:
    """The maps of the state are in the order of their keys, as Codex writes them."""
    bundle = BundleBuilder(tmp_path)
    for turn in ("b", "a", "c"):
        bundle.turn(turn)
        bundle.start(f"call {turn}", turn, [user(text) for text in "abcd"])
    state = reduce_bundle(bundle.write())
    for key in ("codex_turns", "inference_calls", "conversation_items", "raw_payloads"):
        records = state[key]
        assert isinstance(records, dict)
        assert list(records) == sorted(records)


def test_what_is_no_bundle_raises(tmp_path: Path) -> None:
    """A directory without an event log is no bundle."""
    bundle = filled(tmp_path).write()
    (bundle / "trace.jsonl").unlink()
    with pytest.raises(NotABundle, match=r"trace\.jsonl"):
        reduce_bundle(bundle)
