"""The catalog's links across bundles: late ends, late bundles, copied and removed ones."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reducer.shared_json import SharedObject
from tests.reducer.items import assistant, function_call, function_output, user
from tests.reducer.linked import Caller
from tests.support.bundles import Json
from viewer.catalog import link_facts
from viewer.catalog.catalog import Catalog
from viewer.catalog.link_facts import LinkFacts

from .catalog_links import Call, Linked, links_in, links_of

LATER_MS = 60_000
LINK_TABLES = ("facts", "signs", "wants", "pending", "copies", "responses", "said", "prewarms")


class Runs:
    """Two bundles of one trace directory, the second one a minute younger, and their catalog."""

    def __init__(self, trace_dir: Path) -> None:
        self.trace_dir = trace_dir
        self.first = Caller(trace_dir / "trace-1", trace_id="t1")
        self.second = Caller(trace_dir / "trace-2", trace_id="t2", later_ms=LATER_MS)

    @contextmanager
    def indexed(self, *callers: Caller) -> Iterator[Catalog]:
        """A catalog that has read some of the bundles, both unless told."""
        for caller in callers or (self.first, self.second):
            caller.bundle.write()
        with Catalog.open(self.trace_dir) as catalog:
            catalog.refresh()
            yield catalog


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """An empty trace directory."""
    return Runs(tmp_path)


def linked(catalog: Catalog, caller: Caller, call: str) -> Linked:
    """What a call is linked to."""
    trace_id = caller.bundle.manifest["trace_id"]
    assert isinstance(trace_id, str)
    return links_in(catalog)[trace_id, call]


def continues(of: Call, by: str, *, root: Call | None = None) -> Linked:
    """A call that goes on from another, in the conversation that this one began unless told."""
    return Linked(of, by, None, 1, root or of)


def test_conversation_goes_on_in_another_bundle(runs: Runs) -> None:
    """By any of the signs that links go by."""
    runs.first.call("c1", "a", "A", response_id="r1")
    runs.first.call("c2", "k", [function_call("k", "{}")], thread="t")
    runs.second.call("d1", {"input": [user("b")], "previous_response_id": "r1"})
    runs.second.call("d2", [user("a"), assistant("A"), user("c")])
    runs.second.call("d3", [user("z"), function_output("k", "x")])
    runs.second.call("d4", "summary", thread="t")
    with runs.indexed() as catalog:
        assert links_in(catalog) == links_of([runs.first.bundle.path, runs.second.bundle.path])
        assert linked(catalog, runs.second, "d1") == continues(("t1", "c1"), "previous_response_id")
        assert linked(catalog, runs.second, "d2") == continues(("t1", "c1"), "prefix")
        assert linked(catalog, runs.second, "d3") == continues(("t1", "c2"), "call_id")
        assert linked(catalog, runs.second, "d4") == continues(("t1", "c2"), "explicit")


def test_end_that_comes_late_links_what_went_on(runs: Runs) -> None:
    """A client may go on before the end of its call is on disk; what began meanwhile moves too."""
    runs.first.start("c1", "a", thread="t")
    runs.first.call("c2", {"input": [user("b")], "previous_response_id": "r1"}, "B")
    runs.first.call("c3", [user("b"), assistant("B"), user("c")])
    with runs.indexed(runs.first) as catalog:
        assert linked(catalog, runs.first, "c2") == Linked(None, None, None, 1, ("t1", "c2"))
        version = catalog.version
        runs.first.bundle.complete("c1", [assistant("A")], response_id="r1")
        runs.first.bundle.write()
        catalog.refresh()
        assert linked(catalog, runs.first, "c2") == continues(("t1", "c1"), "previous_response_id")
        changed = catalog.connection.execute(
            "SELECT call_id FROM calls WHERE changed > ? ORDER BY call_id", (version,)
        ).fetchall()
        assert changed == [("c1",), ("c2",)]
        assert links_in(catalog) == links_of([runs.first.bundle.path])


def test_older_bundle_that_comes_late_is_continued(runs: Runs) -> None:
    """Traces may be copied here later than what goes on from them; descendants get another root."""
    runs.first.call("c1", "a", "A")
    runs.second.call("d1", [user("a"), assistant("A"), user("b")], "B", response_id="r1")
    runs.second.call("d2", {"input": [user("c")], "previous_response_id": "r1"})
    with runs.indexed(runs.second) as catalog:
        assert linked(catalog, runs.second, "d1").continues is None
        runs.first.bundle.write()
        catalog.refresh()
        root = ("t1", "c1")
        assert linked(catalog, runs.second, "d1") == continues(root, "prefix")
        assert linked(catalog, runs.second, "d2") == continues(
            ("t2", "d1"), "previous_response_id", root=root
        )


def test_prewarm_that_comes_late_is_followed(runs: Runs) -> None:
    """The notice of a request without output may stand in another worker's bundle."""
    runs.first.call("c1", "a", "A", response_id="r1")
    runs.second.call("d1", {"input": [user("b")], "previous_response_id": "w1"})
    with runs.indexed() as catalog:
        assert linked(catalog, runs.second, "d1").continues is None
        prewarm: Json = {"response_id": "w1", "previous_response_id": "r1", "input": []}
        runs.first.bundle.observed("tailrace.prewarm", prewarm)
        runs.first.bundle.write()
        catalog.refresh()
        assert linked(catalog, runs.second, "d1").continues == ("t1", "c1")


def test_retry_is_one_no_more_where_the_first_completed(runs: Runs) -> None:
    """What was still running when it was asked again may yet have come to something."""
    sent: Json = {"path": "/", "retry_count": 0, "request": {"sha256": "s"}}
    runs.first.start("c1", "a", proxy=sent)
    runs.second.start("d1", "a", proxy={**sent, "retry_count": 1})
    with runs.indexed() as catalog:
        assert linked(catalog, runs.second, "d1") == Linked(
            None, None, ("t1", "c1"), 2, ("t1", "c1")
        )
        runs.first.bundle.complete("c1", [assistant("A")])
        runs.first.bundle.write()
        catalog.refresh()
        assert linked(catalog, runs.second, "d1") == Linked(None, None, None, 1, ("t2", "d1"))


def test_same_request_again_moves_with_the_first(runs: Runs) -> None:
    """What it continues was told by the first one, whose own parent comes late."""
    of_client: Json = {"client_call_id": "x"}
    body: Json = {"input": [user("b")], "previous_response_id": "r1"}
    runs.second.start("d1", body, thread="t", proxy=of_client)
    runs.second.bundle.fail("d1")
    runs.second.call("d2", "whole", thread="t", proxy=of_client)
    runs.second.call("d3", "whole", thread="t")
    with runs.indexed(runs.second) as catalog:
        assert linked(catalog, runs.second, "d3").continues is None
        runs.first.call("c1", "a", "A", response_id="r1")
        runs.first.bundle.write()
        catalog.refresh()
        assert linked(catalog, runs.second, "d2").continues == ("t1", "c1")
        assert linked(catalog, runs.second, "d3").continues == ("t1", "c1")


def test_call_is_retried_once_also_where_another_retry_comes_late(runs: Runs) -> None:
    """The earlier one has it, and the later one is none any more."""
    sent: Json = {"path": "/", "client_call_id": "x", "request": {"sha256": "s"}}
    runs.first.start("c1", "a", proxy=sent)
    runs.first.bundle.fail("c1", proxy={"http_status": 500})
    retry = {**sent, "client_call_id": None, "retry_count": 1}
    runs.second.call("d1", "a", "A", proxy=retry)
    with runs.indexed() as catalog:
        assert linked(catalog, runs.second, "d1").retry_of == ("t1", "c1")
        between = Caller(runs.trace_dir / "trace-3", trace_id="t3", later_ms=LATER_MS // 2)
        other: Json = {"path": "/", "client_call_id": "x", "request": {"sha256": "other"}}
        between.call("e1", "e", "E", proxy=other)
        between.bundle.write()
        catalog.refresh()
        assert linked(catalog, between, "e1").retry_of == ("t1", "c1")
        assert linked(catalog, runs.second, "d1").retry_of is None


def test_removed_bundle_leaves_roots(runs: Runs) -> None:
    """What continued its calls begins a conversation of its own, with all that hangs on it."""
    runs.first.call("c1", "a", "A")
    runs.second.call("d1", [user("a"), assistant("A"), user("b")], "B", response_id="r1")
    runs.second.call("d2", {"input": [user("c")], "previous_response_id": "r1"})
    with runs.indexed() as catalog:
        shutil.rmtree(runs.first.bundle.path)
        catalog.refresh()
        assert linked(catalog, runs.second, "d1") == Linked(None, None, None, 1, ("t2", "d1"))
        assert linked(catalog, runs.second, "d2").root == ("t2", "d1")
        shutil.rmtree(runs.second.bundle.path)
        catalog.refresh()
        for table in LINK_TABLES:
            (count,) = catalog.connection.execute(f"SELECT count(*) FROM link_{table}").fetchone()
            assert (table, count) == (table, 0)


def test_copied_bundle_is_linked_as_the_other_one(runs: Runs) -> None:
    """Its calls are no retries of themselves, and stand in the conversation of the first."""
    sent: Json = {"path": "/", "client_call_id": "x", "request": {"sha256": "s"}}
    runs.first.start("c1", "a", proxy=sent)
    runs.first.bundle.fail("c1", proxy={"http_status": 500})
    runs.first.call("c2", "a", "A", proxy=sent)
    copy = runs.trace_dir / "trace-copy"
    shutil.copytree(runs.first.bundle.write(), copy)
    with runs.indexed() as catalog:
        rows = catalog.connection.execute(
            "SELECT call_id, attempt, conversation FROM calls ORDER BY call_id, attempt"
        ).fetchall()
        assert [row[:2] for row in rows] == [("c1", 1), ("c1", 1), ("c2", 2), ("c2", 2)]
        assert len({row[2] for row in rows if row[0] == "c2"}) == 1
        shutil.rmtree(runs.first.bundle.path)
        catalog.refresh()
        attempts = catalog.connection.execute("SELECT attempt FROM calls").fetchall()
        assert attempts == [(1,), (1,)]


def test_copy_that_saw_the_end_tells_it(runs: Runs) -> None:
    """Of a call that one copy saw end and the other did not, the end is known."""
    runs.first.start("c1", "a")
    newer = Caller(runs.trace_dir / "trace-newer", trace_id="t1")
    newer.call("c1", "a", [function_call("k", "{}")])
    runs.second.call("d1", [user("z"), function_output("k", "x")])
    with runs.indexed(runs.first, newer, runs.second) as catalog:
        assert linked(catalog, runs.second, "d1").continues == ("t1", "c1")


def test_catalog_that_has_all_links_has_nothing_to_do(runs: Runs) -> None:
    """A refresh of what did not change links nothing again."""
    runs.first.call("c1", "a", "A")
    with runs.indexed() as catalog:
        version = catalog.version
        catalog.refresh()
        assert catalog.version == version
        assert catalog.connection.execute("SELECT count(*) FROM link_pending").fetchone() == (0,)


def test_requests_may_point_to_what_another_reading_saw(runs: Runs) -> None:
    """Items that the model said are known by their ids in later refreshes, too."""
    runs.first.call("c1", "a", [{**assistant("A"), "id": "msg_1"}])
    with runs.indexed(runs.first) as catalog:
        runs.first.call("c2", [user("a"), {"type": "item_reference", "id": "msg_1"}, user("b")])
        runs.first.bundle.write()
        catalog.refresh()
        assert linked(catalog, runs.first, "c2") == continues(("t1", "c1"), "prefix")


def test_keys_that_are_remembered_are_bounded(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests repeat their items, and of those that none repeats any more nothing stays."""
    monkeypatch.setattr(link_facts, "SHARED_CHARS_MAX", 30)
    with runs.indexed() as catalog:
        facts = LinkFacts(catalog.connection, bundle=1)
        items = [SharedObject(user(f"q{number}"), "ten chars.") for number in range(10)]
        keys = [facts._key(item) for item in items]
        assert len(facts._keys) <= 3
        assert [facts._key(item) for item in items] == keys
        assert len(set(keys)) == 10
