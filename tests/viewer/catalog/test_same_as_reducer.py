"""The catalog says of each call what the reducer says of it, however a bundle is odd."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reducer import reduce_bundle
from tests.properties.test_own_bundles import chained, compaction, every_ending, overlapping_turns
from tests.support.bundles import BundleBuilder
from tests.support.odd_bundles import odd_bundles
from tests.support.recording import recording

from .catalog_contents import Row, assert_whole, contents, refreshed, rows

TOKENS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
TIMES = (
    *("upstream_headers", "first_event", "first_text", "last_event", "ended"),
    *("waited_on_upstream", "waited_on_client", "max_gap"),
)


def told_by_catalog(row: Row) -> Row:
    """A row in the reducer's words."""
    names = ("kind", "call_id", "thread_id", "turn_id", "status", "model")
    times = ("started_at_unix_ms", "ended_at_unix_ms")
    return {name: row[name] for name in (*names, *times)}


def told_by_reducer(call: dict[str, Any], kind: str) -> Row:
    """A call of the state, in the words of a row."""
    name = "inference_call_id" if kind == "inference" else "compaction_request_id"
    return {
        "kind": kind,
        "call_id": call[name],
        "thread_id": call["thread_id"],
        "turn_id": call["codex_turn_id"],
        "status": call["execution"]["status"],
        "model": call["model"],
        "started_at_unix_ms": call["execution"]["started_at_unix_ms"],
        "ended_at_unix_ms": call["execution"]["ended_at_unix_ms"],
    }


def assert_same(bundle: Path, found: list[Row]) -> None:
    """Each call is in both, with the same course, ids, tokens and times."""
    state: dict[str, Any] = reduce_bundle(bundle)
    expected = [
        *(told_by_reducer(call, "inference") for call in state["inference_calls"].values()),
        *(told_by_reducer(call, "compaction") for call in state["compaction_requests"].values()),
    ]

    def order(row: Row) -> tuple[str, str]:
        return row["kind"], row["call_id"]

    assert sorted(map(told_by_catalog, found), key=order) == sorted(expected, key=order)
    for row in found:
        if row["kind"] == "inference":
            assert_same_answer(row, state["inference_calls"][row["call_id"]])


def assert_same_answer(row: Row, call: dict[str, Any]) -> None:
    """What came is told alike."""
    proxy = call["proxy"]
    assert row["response_id"] == (call["response_id"] or proxy.get("response_id"))
    assert row["upstream_request_id"] == call["upstream_request_id"]
    usage = call["usage"] or dict.fromkeys(TOKENS)
    assert [row[name] for name in TOKENS] == [usage[name] for name in TOKENS]
    timing, outcome = proxy.get("timing") or {}, proxy.get("outcome") or {}
    # Where no recorder told how long it took, the clock of the events says it.
    known = [name for name in TIMES if name != "ended" or "ended" in timing]
    assert [row[f"{name}_ms"] for name in known] == [timing.get(name) for name in known]
    assert (row["protocol"], row["transport_end"]) == (
        outcome.get("protocol"),
        outcome.get("transport"),
    )
    assert row["http_status"] == proxy.get("http_status")
    assert row["bytes_down"] == proxy.get("bytes_down", 0)
    assert bool(row["has_partial"]) == bool(proxy.get("partial_items"))


# Bundles take time to make.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(odd_bundles())
def test_odd_bundles(builder: BundleBuilder) -> None:
    """Two starts, two ends, ends of nothing, wrong types, torn lines: both read them alike."""
    with tempfile.TemporaryDirectory() as directory:
        builder.path = Path(directory) / "trace-1"
        bundle = builder.write()
        with refreshed(Path(directory)) as catalog:
            assert_same(bundle, rows(catalog))
            assert_whole(catalog)


# Bundles take time to make.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(odd_bundles(), st.lists(st.integers(0, 100), max_size=4))
def test_read_in_steps(builder: BundleBuilder, shares: list[int]) -> None:
    """However often a growing log is read, the end is that of a log read at once."""
    with tempfile.TemporaryDirectory() as directory:
        at_once, in_steps = Path(directory, "a"), Path(directory, "b")
        builder.path = at_once / "trace-1"
        bundle = builder.write()
        shutil.copytree(at_once, in_steps)
        log = in_steps / "trace-1" / "trace.jsonl"
        data = log.read_bytes()
        log.write_bytes(b"")
        with refreshed(in_steps) as catalog, refreshed(at_once) as expected:
            for size in (*sorted(len(data) * share // 100 for share in shares), len(data)):
                with log.open("ab") as file:
                    file.write(data[file.tell() : size])
                catalog.refresh()
            assert contents(catalog) == contents(expected)
            assert_same(bundle, rows(catalog))


@pytest.mark.parametrize("course", [chained, every_ending, overlapping_turns, compaction])
def test_own_bundles(course: Any, tmp_path: Path) -> None:
    """What the recorder writes is read alike, with all that it says of a call."""
    with recording(tmp_path) as record:
        course(record)
        (bundle,) = record.close()
    with refreshed(tmp_path) as catalog:
        found = rows(catalog)
        assert found
        assert_same(bundle, found)


def test_first_schema_version(tmp_path: Path) -> None:
    """Version 1 kept the response's id under the name of the upstream request's."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.manifest["schema_version"] = 1
    builder.turn("t")
    builder.start("c", "t", [])
    builder.event(
        "inference_completed",
        inference_call_id="c",
        upstream_request_id="resp_1",
        response_payload=builder.payload("inference_response", {"output_items": []}),
    )
    bundle = builder.write()
    with refreshed(tmp_path) as catalog:
        assert_same(bundle, rows(catalog))
        assert [row["response_id"] for row in rows(catalog)] == ["resp_1"]


@pytest.mark.parametrize("status", ["completed", "cancelled", "failed", "aborted", "running"])
def test_calls_end_with_their_turn(tmp_path: Path, status: str) -> None:
    """A call that runs when its turn ends has ended, and what comes late is kept beside that."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    builder.start("open", "t", [])
    builder.start("late", "t", [])
    builder.start("done", "t", [])
    builder.complete("done")
    builder.end_turn("t", status)
    usage = dict.fromkeys(TOKENS, 3)
    builder.complete("late", response_id="resp_late", usage=usage)
    bundle = builder.write()
    with refreshed(tmp_path) as catalog:
        assert_same(bundle, rows(catalog))


def test_duration_of_what_codex_recorded_itself(tmp_path: Path) -> None:
    """It is the time between its events; ours, of which less may be known, is not guessed."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    builder.start("own", "t", [])
    builder.start("ours", "t", [], proxy={"transport": "sse"})
    builder.start("sealed", "t", [])
    builder.start("by its turn", "t", [])
    builder.complete("own", [])
    builder.complete("ours", [])
    builder.complete("sealed", [], proxy={"outcome": {"transport": "aborted"}})
    builder.end_turn("t")
    builder.write()
    with refreshed(tmp_path) as catalog:
        took = {row["call_id"]: row["ended_ms"] for row in rows(catalog)}
    assert took.pop("own") > 0
    assert took == {"ours": None, "sealed": None, "by its turn": None}
