"""What a bundle takes to reduce goes by what is in it, not by how often it is sent again."""

import tracemalloc
from pathlib import Path

from reducer import reduce_bundle, state_bytes, state_stream
from reducer.replay import read_bundle
from tests.reducer.items import assistant, function_call, function_output, user
from tests.support.bundles import BundleBuilder, Json


def grown(path: Path, call_count: int, *, item_count: int) -> Path:
    """A bundle whose calls each send a conversation of so many items, the same one."""
    bundle = BundleBuilder(path)
    bundle.turn("t")
    history: list[Json] = []
    for number in range(item_count // 4):
        call_id = f"k{number}"
        history += [user(f"u{number}" * 20), function_call(call_id, '{"n": 1}')]
        history += [function_output(call_id, "o" * 50), assistant(f"a{number}")]
    for number in range(call_count):
        bundle.start(f"c{number}", "t", history)
        bundle.complete(f"c{number}", [])
    return bundle.write()


def peak_of(bundle: Path) -> int:
    """The most bytes that were held while the bundle was reduced."""
    tracemalloc.start()
    try:
        for _ in state_stream(bundle):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_goes_by_distinct_content(tmp_path: Path) -> None:
    """A conversation sent ten times as often takes a few bytes more for an item sent, no more."""
    few = peak_of(grown(tmp_path / "few", 20, item_count=400))
    many = peak_of(grown(tmp_path / "many", 200, item_count=400))
    per_item_sent = (many - few) / (180 * 400)
    assert per_item_sent < 20  # a list of items takes 8, each with an id of its own 80


def test_state_in_pieces_is_the_whole_state(tmp_path: Path) -> None:
    """state.json has the same bytes, made at once or piece by piece."""
    bundle = grown(tmp_path, 3, item_count=8)
    assert b"".join(state_stream(bundle)) == state_bytes(reduce_bundle(bundle))
    assert b"".join(state_stream(bundle)) == state_bytes(read_bundle(bundle).state)


def test_item_of_another_payload_names_the_first_that_showed_it(tmp_path: Path) -> None:
    """What is shared among payloads does not mix them up."""
    call = function_call("k", '{"n": 1}')
    bundle = BundleBuilder(tmp_path)
    bundle.thread("other")
    for thread in ("root", "other"):
        bundle.turn(thread, thread=thread)
        bundle.start(f"call of {thread}", thread, [user("a"), call])
    state = reduce_bundle(bundle.write())
    items = state["conversation_items"]
    assert isinstance(items, dict)
    parts = [part for item in items.values() for part in item["body"]["parts"]]
    named = [part["raw_payload_id"] for part in parts if part["type"] == "json"]
    assert named == ["raw_payload:1", "raw_payload:2"]
