"""Each way in which a bundle can be odd as files, lines and references, and what is told of it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from reducer import reduce_bundle
from tests.reducer.items import assistant, user
from tests.reducer.states import State, call_of, codes_of, state_of, texts_of
from tests.support.bundles import BundleBuilder, Json
from tests.support.codex_cli import REPO_ROOT

HANG_S = 20


@pytest.fixture
def bundle(tmp_path: Path) -> BundleBuilder:
    """A bundle of one completed call; its `inference_started` is of seq 4."""
    builder = BundleBuilder(tmp_path / "bundle")
    builder.turn("t")
    builder.start("c", "t", [user("a")])
    builder.complete("c", [assistant("A")], response_id="r", upstream_request_id="req")
    builder.end_turn("t")
    return builder


def changed(bundle: BundleBuilder, number: int, **fields: object) -> None:
    """Change fields of an event's envelope; lines count from 1."""
    line = json.loads(bundle.lines[number - 1])
    bundle.lines[number - 1] = json.dumps({**line, **fields}).encode()


def with_request_at(bundle: BundleBuilder, path: str) -> None:
    """Let the request's reference name another path."""
    line = json.loads(bundle.lines[3])
    line["payload"]["request_payload"]["path"] = path
    bundle.lines[3] = json.dumps(line).encode()


def told(state: State) -> list[tuple[int | None, str]]:
    """Each diagnostic's seq and code; each says something in words."""
    assert all(diagnostic["message"] for diagnostic in state["diagnostics"])
    return [(diagnostic["seq"], diagnostic["code"]) for diagnostic in state["diagnostics"]]


def test_whole_bundle_has_no_diagnostics(bundle: BundleBuilder) -> None:
    """What these tests damage is in order before."""
    assert told(state_of(bundle.write())) == []


@pytest.mark.parametrize(
    "manifest", [None, b"", b"{", b"\xff", b"[2]", b"5", b"[" * 100_000], ids=str
)
def test_manifest_damaged(bundle: BundleBuilder, manifest: bytes | None) -> None:
    """Without a manifest the events tell what they can."""
    path = bundle.write()
    (path / "manifest.json").unlink()
    if manifest is not None:
        (path / "manifest.json").write_bytes(manifest)
    state = state_of(path)
    assert told(state) == [(None, "manifest_damaged")]
    assert (state["trace_id"], state["rollout_id"]) == ("trace-1", "rollout-1")
    assert (state["root_thread_id"], state["started_at_unix_ms"]) == ("root", 0)
    assert call_of(state, "c")["execution"]["status"] == "completed"


@pytest.mark.parametrize(
    "key", ["trace_id", "rollout_id", "root_thread_id", "started_at_unix_ms", "payloads_dir"]
)
@pytest.mark.parametrize("value", [None, [], True, 1.5])
def test_manifest_field_of_a_wrong_type(bundle: BundleBuilder, key: str, value: object) -> None:
    """A field that is not what it should be is told, and counts as absent."""
    bundle.manifest[key] = value
    assert told(state_of(bundle.write())) == [(None, "manifest_field")]


@pytest.mark.parametrize("version", [1, 3, None, "2", 2.5, True])
def test_foreign_version_of_the_manifest(bundle: BundleBuilder, version: object) -> None:
    """A version that we do not know is read as if we did, and told once if its events agree."""
    bundle.manifest["schema_version"] = version
    if type(version) is int:
        for number in range(1, len(bundle.lines) + 1):
            changed(bundle, number, schema_version=version)
    state = state_of(bundle.write())
    assert told(state) == [(None, "schema_version")]
    assert call_of(state, "c")["response_id"] == "r"


def test_foreign_version_of_an_event(bundle: BundleBuilder) -> None:
    """An event of another version than the bundle's is told."""
    changed(bundle, 4, schema_version=3)
    assert told(state_of(bundle.write())) == [(4, "schema_version")]


def test_version_1_had_the_responses_id_under_another_name(tmp_path: Path) -> None:
    """Before there was a response_id, upstream_request_id held it, and chains went by it."""
    bundle = BundleBuilder(tmp_path, begun=False)
    bundle.manifest["schema_version"] = 1
    bundle.event("rollout_started", trace_id="trace-1", root_thread_id="root")
    bundle.thread("root")
    bundle.turn("t")
    bundle.start("c1", "t", [user("a")])
    response: Json = {"upstream_request_id": "resp_1", "token_usage": None, "output_items": []}
    bundle.event(
        "inference_completed",
        inference_call_id="c1",
        upstream_request_id="resp_1",
        response_payload=bundle.payload("inference_response", response),
    )
    bundle.start("c2", "t", {"input": [user("b")], "previous_response_id": "resp_1"})
    bundle.complete("c2", response_id="resp_2", upstream_request_id="req_2")
    state = state_of(bundle.write())
    first, second = call_of(state, "c1"), call_of(state, "c2")
    assert (first["response_id"], first["upstream_request_id"]) == ("resp_1", None)
    assert (second["response_id"], second["upstream_request_id"]) == ("resp_2", "req_2")
    assert texts_of(state, second["request_item_ids"]) == ["a", "b"]
    assert told(state) == [(None, "schema_version"), (5, "older_meaning")]


@pytest.mark.parametrize(
    ("seqs", "expected"),
    [
        ([1, 2, 3, 9, 10, 11], [(9, "seq_gap")]),
        ([1, 2, 3, 3, 4, 5], [(3, "seq_back")]),
        ([1, 2, 3, 1, 2, 3], [(1, "seq_back")]),
        ([0, 1, 2, 3, 4, 5], [(0, "seq_back")]),
        ([1, 2, 3, 2**64 - 1, 5, 6], [(2**64 - 1, "seq_gap"), (5, "seq_back")]),
    ],
    ids=["gap", "duplicate", "again", "from 0", "largest"],
)
def test_seqs_out_of_order(
    bundle: BundleBuilder, seqs: list[int], expected: list[tuple[int, str]]
) -> None:
    """Lines are taken in the order in which they stand; a jump is told where it is."""
    for number, seq in enumerate(seqs, start=1):
        changed(bundle, number, seq=seq)
    state = state_of(bundle.write())
    assert told(state) == expected
    assert call_of(state, "c")["execution"]["status"] == "completed"


def test_line_twice(bundle: BundleBuilder) -> None:
    """A line that stands there twice is two events, of which the second is told."""
    bundle.lines.insert(4, bundle.lines[3])
    assert told(state_of(bundle.write())) == [(4, "seq_back"), (4, "duplicate_call")]


def test_swapped_lines(bundle: BundleBuilder) -> None:
    """An end before its start is of no call, and the call goes on until its turn ends."""
    bundle.lines[3], bundle.lines[4] = bundle.lines[4], bundle.lines[3]
    state = state_of(bundle.write())
    assert told(state)[:2] == [(5, "seq_gap"), (5, "unknown_call")]
    assert call_of(state, "c")["execution"]["status"] == "cancelled"


def test_member_named_twice(bundle: BundleBuilder) -> None:
    """Of two members of one name the last one counts; Codex refuses both."""
    bundle.lines[3] = bundle.lines[3].replace(b'"model"', b'"model": "x", "model"', 1)
    state = state_of(bundle.write())
    assert told(state) == [(4, "not_strict_json")]
    assert call_of(state, "c")["model"] == "m"


def test_event_of_another_rollout(bundle: BundleBuilder) -> None:
    """An event of another rollout is folded and told."""
    changed(bundle, 4, rollout_id="another")
    assert told(state_of(bundle.write())) == [(4, "foreign_event")]


@pytest.mark.parametrize(
    "line", [b"{", b"5", b"[]", b"\xff", b"{}", b"\0\0\0", b"null", b"[" * 100_000], ids=str
)
def test_damaged_line(bundle: BundleBuilder, line: bytes) -> None:
    """A line that is no event costs itself, and no more."""
    bundle.lines.insert(3, line)
    state = state_of(bundle.write())
    assert told(state) == [(None, "damaged_line")]
    assert "line 4" in state["diagnostics"][0]["message"]


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "../secret.json", "payloads/../../secret.json", "", ".", "payloads"]
)
def test_payload_path_that_is_none(bundle: BundleBuilder, path: str) -> None:
    """A reference to what is no file of the bundle is not followed."""
    with_request_at(bundle, path)
    directory = bundle.write()
    (directory.parent / "secret.json").write_text('{"input": [{"type": "secret"}]}')
    state = state_of(directory)
    assert told(state) == [(4, "unreadable_payload")]
    assert call_of(state, "c")["request_item_ids"] == []


def link_file(place: Path) -> None:
    """A link to a file beside the bundle."""
    place.symlink_to("../../secret.json")


def link_directory(place: Path) -> None:
    """A link to a directory beside the bundle."""
    place.parent.rmdir()
    place.parent.symlink_to("../aside")


def link_loop(place: Path) -> None:
    """A link to itself."""
    place.symlink_to(place.name)


@pytest.mark.parametrize("link", [link_file, link_directory, link_loop])
def test_payload_behind_a_link(bundle: BundleBuilder, link: Callable[[Path], None]) -> None:
    """A link does not lead out of the bundle either."""
    directory = bundle.write()
    secret = '{"input": [{"type": "secret"}], "output_items": []}'
    (directory.parent / "secret.json").write_text(secret)
    (directory.parent / "aside").mkdir()
    for number in (1, 2):
        (directory.parent / "aside" / f"{number}.json").write_text(secret)
        (directory / "payloads" / f"{number}.json").unlink()
    link(directory / "payloads" / "1.json")
    codes = told(state_of(directory))
    assert codes == [(4, "unreadable_payload"), (5, "unreadable_payload")]


def test_payload_behind_a_link_within_the_bundle(bundle: BundleBuilder) -> None:
    """A link that stays inside is followed."""
    directory = bundle.write()
    (directory / "payloads" / "1.json").rename(directory / "moved.json")
    (directory / "payloads" / "1.json").symlink_to("../moved.json")
    assert told(state_of(directory)) == []


@pytest.mark.parametrize("name", ["payloads/1.json", "manifest.json", "trace.jsonl"])
def test_pipe_does_not_hang_the_reader(bundle: BundleBuilder, name: str) -> None:
    """What would block whoever reads it is not read."""
    directory = bundle.write()
    (directory / name).unlink()
    os.mkfifo(directory / name)
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "reduce", directory, "-o", "-"],
        cwd=REPO_ROOT,
        capture_output=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == (1 if name == "trace.jsonl" else 0)
    if done.returncode == 0:
        assert len(json.loads(done.stdout)["diagnostics"]) == 1


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"5", b"\x00\xff"], ids=str)
def test_damaged_payload(bundle: BundleBuilder, content: bytes | None) -> None:
    """A request that is gone or damaged costs its items; the call is there with its end."""
    directory = bundle.write()
    (directory / "payloads" / "1.json").unlink()
    if content is not None:
        (directory / "payloads" / "1.json").write_bytes(content)
    state = state_of(directory)
    assert told(state)[0] == (4, "unreadable_payload")
    call = call_of(state, "c")
    assert (call["response_id"], call["request_item_ids"]) == ("r", [])
    assert texts_of(state, call["response_item_ids"]) == ["A"]


ODD_VALUES: tuple[object, ...] = (None, True, 5, 2**70, 1e308, "", "x", [], [[]], {}, {"type": []})


@pytest.mark.parametrize("value", ODD_VALUES, ids=str)
def test_wrong_types_everywhere(bundle: BundleBuilder, value: object) -> None:
    """Whatever stands in any field of any event, there is a state, with the rest of the bundle."""
    lines = [json.loads(line) for line in bundle.lines]
    for position, line in enumerate(lines):
        for place in ("", "payload"):
            for key in line["payload"] if place else line:
                odd: Json = json.loads(bundle.lines[position])
                target = odd[place] if place else odd
                assert isinstance(target, dict)
                target[key] = value
                others = [*bundle.lines[:position], json.dumps(odd).encode()]
                bundle.path.mkdir(exist_ok=True)
                whole, bundle.lines = bundle.lines, others + bundle.lines[position + 1 :]
                state = reduce_bundle(bundle.write())
                bundle.lines = whole
                assert "inference_calls" in state
                if key not in {"model", "provider_name", "agent_path", "metadata_payload"}:
                    assert codes_of(state) or value in ("", "x", None, 5), key


@pytest.mark.parametrize("metadata", [[], [["agent_path", "x"]], 5, "x", None], ids=str)
def test_thread_metadata_that_is_no_object(tmp_path: Path, metadata: object) -> None:
    """A thread whose metadata says nothing is a root."""
    bundle = BundleBuilder(tmp_path)
    bundle.thread("other", metadata=metadata if metadata is not None else {"session_source": None})
    state = state_of(bundle.write())
    assert state["threads"]["other"]["origin"] == {"type": "root"}
    assert codes_of(state) == ([] if metadata is None else ["unreadable_payload"])
