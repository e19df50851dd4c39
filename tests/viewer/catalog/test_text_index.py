"""Each distinct item of a bundle can be searched for, at the call that showed it first."""

from pathlib import Path

import pytest

from tests.support.bundles import BundleBuilder, Json, message

from .catalog_contents import assert_whole, calls_by_id, found, refreshed, texts


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle without calls."""
    builder = BundleBuilder(tmp_path / "trace-1")
    builder.turn("t")
    return builder


def indexed(bundle: BundleBuilder) -> list[tuple[str, str, str, str]]:
    """What can be searched for in a bundle."""
    bundle.write()
    with refreshed(bundle.path.parent) as catalog:
        assert_whole(catalog)
        return texts(catalog)


def test_an_item_is_indexed_once(bundle: BundleBuilder) -> None:
    """A conversation that is sent again adds what is new in it, however it is written now."""
    first = message("user", "one")
    said = message("assistant", "two", id="msg_1", status="completed")
    bundle.start("a", "t", [first])
    bundle.complete("a", [said])
    sent_back: Json = {"role": "assistant", "content": "two"}
    bundle.start("b", "t", [first, sent_back, message("user", "three")])
    bundle.start("c", "t", [first, message("developer", "one")])
    assert indexed(bundle) == [
        ("a", "request", "user", "one"),
        ("a", "response", "assistant", "two"),
        ("b", "request", "user", "three"),
        ("c", "request", "developer", "one"),
    ]


def test_instructions_and_a_string(bundle: BundleBuilder) -> None:
    """Instructions are an item, and an input that is a string is the user's message."""
    for call in ("a", "b"):
        bundle.start(call, "t", {"instructions": "Be brief", "input": f"ask {call}"})
    assert indexed(bundle) == [
        ("a", "request", "instructions", "Be brief"),
        ("a", "request", "user", "ask a"),
        ("b", "request", "user", "ask b"),
    ]


def test_what_was_in_progress(bundle: BundleBuilder) -> None:
    """Partial output can be searched for."""
    bundle.start("a", "t", [])
    item = message("assistant", "half a sen")
    bundle.cancel("a", partial_items=[{"output_index": 0, "item": item}])
    assert indexed(bundle) == [("a", "response", "assistant", "half a sen")]


def test_errors(bundle: BundleBuilder) -> None:
    """The body of an HTTP error, and the error that the event tells, can be searched for."""
    bundle.start("a", "t", [])
    body = {"error": {"message": "Rate limit", "code": "rate_limit_exceeded"}}
    response = {"output_items": [], "proxy": {"body": body}}
    bundle.event(
        "inference_failed",
        inference_call_id="a",
        error="http 429",
        partial_response_payload=bundle.payload("inference_response", response),
    )
    assert indexed(bundle) == [
        ("a", "response", "error", "Rate limit\nrate_limit_exceeded"),
        ("a", "response", "error", "http 429"),
    ]


def test_same_item_in_two_bundles(tmp_path: Path) -> None:
    """Each bundle has its own, so that it is still found when the other one is pruned."""
    for name in ("trace-1", "trace-2"):
        builder = BundleBuilder(tmp_path / name)
        builder.turn("t")
        builder.start(name, "t", [message("user", "same")])
        builder.write()
    with refreshed(tmp_path) as catalog:
        assert found(catalog, "same") == ["trace-1", "trace-2"]


def test_payloads_that_cannot_be_read(bundle: BundleBuilder) -> None:
    """A call whose payloads are damaged, missing, outside or no objects is there without texts."""
    for call in ("damaged", "missing", "outside", "list", "deep"):
        bundle.start(call, "t", [message("user", call)])
        bundle.complete(call, [message("assistant", call)])
    for number, data in ((1, b"{"), (2, b"\xff"), (7, b"[]"), (8, b"[]")):
        bundle.files[f"payloads/{number}.json"] = data
    for number in (9, 10):
        bundle.files[f"payloads/{number}.json"] = b'{"input":' + b"[" * 9999 + b"]" * 9999 + b"}"
    del bundle.files["payloads/3.json"], bundle.files["payloads/4.json"]
    bundle.lines = [
        line.replace(b"payloads/5.json", b"../5.json").replace(b"payloads/6.json", b"/etc/passwd")
        for line in bundle.lines
    ]
    bundle.write()
    with refreshed(bundle.path.parent) as catalog:
        statuses = {call: row["status"] for call, row in calls_by_id(catalog).items()}
        assert statuses == dict.fromkeys(
            ("damaged", "missing", "outside", "list", "deep"), "completed"
        )
        assert texts(catalog) == []


def test_hostile_texts(bundle: BundleBuilder) -> None:
    """Lone surrogates, NULs and marks become harmless; huge numbers and names are no failure."""
    lone = b'{"input": [{"role": "user", "content": "lone \\ud83d, nul \\u0000, mark \\ue000"}]}'
    bundle.start("a", "t", [])
    bundle.files["payloads/1.json"] = lone
    numbers = {
        "http_status": 2**64 - 1,
        "events": -1,
        "bytes_down": 2**63,
        "timing": {"ended": 1e308},
    }
    bundle.cancel("a", reason="\0" * 5_000, proxy=numbers)
    name = "n" * 100_000
    bundle.start(name, "t", [], proxy={"client_call_id": "\ue000\0", "retry_count": "x"})
    bundle.write()
    with refreshed(bundle.path.parent) as catalog:
        ((_, _, _, text),) = texts(catalog)
        assert text == "lone \ufffd, nul  , mark  "
        calls = calls_by_id(catalog)
        assert (calls["a"]["http_status"], calls["a"]["events"]) == (None, 0)
        assert set(calls["a"]["reason"]) == {" "}
        assert calls[name]["client_call_id"] == "\ue000\0"
