"""What the catalog answers: lists by filter and place, single calls, counts, the strip."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.call_rows import STARTED_UNIX_MS, call_row
from tests.support.catalog_rows import CatalogRows
from viewer.catalog.catalog import Catalog
from viewer.catalog.queries import (
    branched,
    call_by_id,
    call_by_key,
    calls_by_ids,
    changed_since,
    count_by_status,
    count_calls,
    find_calls,
    models,
    stats,
    strip,
)
from viewer.catalog.rows import CallFilter, CallRow, Cursor, StripPoint, Timing, Usage

LIVE, DEAD = Path("trace-1"), Path("trace-2")
USAGE = Usage(
    input_tokens=900, cached_input_tokens=800, output_tokens=100, reasoning_output_tokens=40
)

COMPLETED = call_row(
    1,
    LIVE,
    status="completed",
    protocol="completed",
    transport_end="eof",
    timing=Timing(first_event=12.5, last_event=1012.5, ended=1013.0),
    usage=USAGE,
    tools=("shell", "apply_patch"),
    has_partial=True,
    asked="Say hello",
)
INCOMPLETE = call_row(
    2,
    LIVE,
    status="failed",
    protocol="incomplete",
    transport_end="eof",
    model="gpt-5.5-mini",
    timing=Timing(ended=20.0),
)
CANCELLED = call_row(
    3, LIVE, status="cancelled", protocol="none", transport_end="client_closed", thread_id="talk"
)
RUNNING = call_row(4, LIVE)
LOST = call_row(5, DEAD, is_live=False, model="o9[x]")
# The later a call began, the higher its id, but for the last two, which began at once.
ROWS = [
    replace(row, started_at_unix_ms=STARTED_UNIX_MS + 1000 * min(row.id, 4))
    for row in (COMPLETED, INCOMPLETE, CANCELLED, RUNNING, LOST)
]


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """A catalog of the five calls."""
    rows = CatalogRows(tmp_path_factory.mktemp("traces"))
    rows.add(*ROWS)
    with rows.catalog:
        yield rows.catalog


def ids(rows: list[CallRow]) -> list[int]:
    """Which calls these are."""
    return [row.id for row in rows]


def test_row_comes_out_as_it_went_in(catalog: Catalog) -> None:
    """Every column reaches its field, with the bundle's directory as it lies on disk."""
    for row in ROWS:
        expected = replace(row, bundle=catalog.trace_dir / row.bundle)
        assert call_by_id(catalog, row.id) == expected
        assert call_by_key(catalog, row.trace_id, row.call_id) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (CallFilter(), [5, 4, 3, 2, 1]),
        (CallFilter(statuses=frozenset({"failed"})), [2]),
        (CallFilter(statuses=frozenset({"running"})), [4]),
        (CallFilter(statuses=frozenset({"lost"})), [5]),
        (CallFilter(statuses=frozenset({"running", "lost", "completed"})), [5, 4, 1]),
        (CallFilter(outcomes=frozenset({"incomplete"})), [2]),
        (CallFilter(outcomes=frozenset({"eof"})), [2, 1]),
        (CallFilter(outcomes=frozenset({"incomplete", "client_closed"})), [3, 2]),
        (CallFilter(model="gpt-5.5"), [4, 3, 1]),
        (CallFilter(model="gpt-5.5*"), [4, 3, 2, 1]),
        (CallFilter(model="*mini"), [2]),
        (CallFilter(model="o9[x]"), [5]),
        (CallFilter(model="gpt-5?5"), []),
        (CallFilter(thread_id="talk"), [3]),
        (CallFilter(conversation=2), [2]),
        (CallFilter(since_unix_ms=STARTED_UNIX_MS + 3000), [5, 4, 3]),
        (CallFilter(until_unix_ms=STARTED_UNIX_MS + 3000), [2, 1]),
        (CallFilter(slower_than_ms=20.0), [1]),
        (CallFilter(slower_than_ms=19.9), [2, 1]),
        (CallFilter(tokens_min=1000), [1]),
        (CallFilter(tokens_min=1001), []),
        (CallFilter(statuses=frozenset({"failed"}), model="gpt-5.5"), []),
        (CallFilter(since_unix_ms=10**30), []),
        (CallFilter(until_unix_ms=-(10**30)), []),
        (CallFilter(model="\ud800", thread_id="\ud800"), []),
        (CallFilter(text="?!"), []),
    ],
)
def test_filter_holds_whole(catalog: Catalog, wanted: CallFilter, expected: list[int]) -> None:
    """Newest first; each condition by itself, and two together; as many are counted."""
    assert ids(find_calls(catalog, wanted, limit=10)) == expected
    assert count_calls(catalog, wanted) == len(expected)
    assert [point.id for point in strip(catalog, wanted, limit=10)] == expected


def test_pages_follow_each_other_both_ways(catalog: Catalog) -> None:
    """Two calls that began in one millisecond are neither lost nor told twice between pages."""
    places = [Cursor(started_at_unix_ms=row.started_at_unix_ms, id=row.id) for row in ROWS]
    assert ids(find_calls(catalog, CallFilter(), limit=2)) == [5, 4]
    assert ids(find_calls(catalog, CallFilter(), limit=2, after=places[4])) == [4, 3]
    assert ids(find_calls(catalog, CallFilter(), limit=9, after=places[1])) == [1]
    assert ids(find_calls(catalog, CallFilter(), limit=2, before=places[1])) == [4, 3]
    assert ids(find_calls(catalog, CallFilter(), limit=9, before=places[3])) == [5]
    between = find_calls(catalog, CallFilter(), limit=9, after=places[4], before=places[1])
    assert ids(between) == [4, 3]


def test_ids_that_are_not_there_are_left_out(catalog: Catalog) -> None:
    """A call may be gone with its bundle, and a list of ids may be long."""
    assert sorted(calls_by_ids(catalog, [2, *range(100, 3000), 4])) == [2, 4]
    assert call_by_id(catalog, 7) is None
    assert call_by_key(catalog, "1", "\ud800") is None


def test_statuses_are_counted(catalog: Catalog) -> None:
    """A running call whose recorder died is no running one."""
    counted = {"cancelled": 1, "completed": 1, "failed": 1, "lost": 1, "running": 1}
    assert count_by_status(catalog, CallFilter()) == counted
    assert count_by_status(catalog, CallFilter(model="gpt-5.5-mini")) == {"failed": 1}


def test_models_are_named_once(catalog: Catalog) -> None:
    """In the order of their names."""
    assert models(catalog) == ["gpt-5.5", "gpt-5.5-mini", "o9[x]"]


def test_strip_has_the_newest(catalog: Catalog) -> None:
    """With the time that each took, if it did end."""
    lost, _, _, incomplete = strip(catalog, CallFilter(), limit=4)
    assert (lost.status, lost.duration_ms) == ("lost", None)
    assert incomplete == StripPoint(
        id=2,
        trace_id="1",
        call_id=INCOMPLETE.call_id,
        started_at_unix_ms=STARTED_UNIX_MS + 2000,
        duration_ms=20.0,
        status="failed",
        model="gpt-5.5-mini",
    )


def test_changes_are_told_by_version(tmp_path: Path) -> None:
    """Each refresh writes its number; what changed first comes first."""
    rows = CatalogRows(tmp_path)
    rows.add(*ROWS[:3])
    with rows.catalog as catalog:
        for call, version in ((1, 7), (2, 5), (3, 4)):
            catalog.connection.execute("UPDATE calls SET changed = ? WHERE id = ?", (version, call))
        assert ids(changed_since(catalog, 4, limit=9)) == [2, 1]
        assert ids(changed_since(catalog, 4, limit=1)) == [2]
        assert changed_since(catalog, 7, limit=9) == []


def test_branches_are_told_apart_from_retries(tmp_path: Path) -> None:
    """Two calls go on from the first, one of them tried twice; a call alone is no branch."""
    rows = CatalogRows(tmp_path)
    links: list[dict[str, Any]] = [
        {},
        {"continues": 1},
        {"continues": 1, "retry_of": 2},
        {"continues": 1},
        {"continues": 4},
        {"continues": 4, "retry_of": 5},
    ]
    calls = [call_row(n, conversation=1, **link) for n, link in enumerate(links, start=1)]
    rows.add(*calls)
    with rows.catalog as catalog:
        assert branched(catalog, calls) == {2, 3, 4}
        assert branched(catalog, []) == frozenset()


COMMON = CallFilter(statuses=frozenset({"failed", "lost"}), outcomes=frozenset({"eof"}), model="m*")

FILTERS = st.builds(
    CallFilter,
    statuses=st.frozensets(st.sampled_from(["running", "lost", "completed", "failed", "'"])),
    outcomes=st.frozensets(st.sampled_from(["eof", "incomplete", "none", "client_closed"])),
    model=st.none() | st.sampled_from(["gpt-5.5", "*mini", "*"]) | st.text(max_size=5),
    thread_id=st.none() | st.just("talk") | st.text(max_size=3),
    since_unix_ms=st.none() | st.integers(STARTED_UNIX_MS, STARTED_UNIX_MS + 5000),
    slower_than_ms=st.none() | st.floats(),
    tokens_min=st.none() | st.integers(),
    text=st.none() | st.text(max_size=9),
)


@given(wanted=FILTERS, limit=st.integers(1, 3))
def test_pages_add_up_to_what_is_counted(catalog: Catalog, wanted: CallFilter, limit: int) -> None:
    """Whatever is asked, page after page has every call once, in order."""
    found: list[CallRow] = []
    after = None
    while page := find_calls(catalog, wanted, limit=limit, after=after):
        found += page
        after = Cursor(started_at_unix_ms=page[-1].started_at_unix_ms, id=page[-1].id)
    assert ids(found) == sorted(ids(found), reverse=True)
    assert len(found) == count_calls(catalog, wanted)
    assert sum(count_by_status(catalog, wanted).values()) == len(found)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (CallFilter(), "calls_in_time"),
        (CallFilter(statuses=frozenset({"failed", "lost"}), model="x*"), "calls_in_time"),
        (CallFilter(outcomes=frozenset({"eof"}), tokens_min=5), "calls_in_time"),
        (CallFilter(slower_than_ms=5.0, since_unix_ms=1), "calls_in_time"),
        (CallFilter(text="words"), "calls_in_time"),
        (CallFilter(thread_id="talk"), "calls_of_thread"),
        (CallFilter(conversation=1), "calls_of_conversation"),
    ],
)
def test_lists_need_no_sorting(catalog: Catalog, wanted: CallFilter, index: str) -> None:
    """A page is read off an index in its order, so that it costs no more among many calls."""
    plan = plan_of(catalog, lambda: find_calls(catalog, wanted, limit=50))
    assert f"USING INDEX {index}" in plan
    assert "TEMP B-TREE" not in plan


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda catalog: stats(catalog, CallFilter()), "COVERING INDEX calls_of_model\n"),
        (lambda catalog: count_calls(catalog, COMMON), "COVERING INDEX calls_in_time"),
        (lambda catalog: count_by_status(catalog, COMMON), "COVERING INDEX calls_in_time"),
        (models, "COVERING INDEX calls_of_model"),
        (lambda catalog: strip(catalog, COMMON, limit=9), "INDEX calls_in_time"),
        (lambda catalog: changed_since(catalog, 3, limit=9), "INDEX calls_changed"),
        (lambda catalog: call_by_id(catalog, 3), "INTEGER PRIMARY KEY"),
        (lambda catalog: branched(catalog, [call_row(2, continues=1)]), "INDEX calls_continuing"),
    ],
)
def test_tables_are_not_gone_through(
    catalog: Catalog, ask: Callable[[Catalog], object], index: str
) -> None:
    """What a filter excludes is excluded by an index, and its row never read."""
    plan = plan_of(catalog, lambda: ask(catalog))
    assert index in plan
    assert "SCAN c\n" not in plan


def plan_of(catalog: Catalog, ask: Callable[[], object]) -> str:
    """How SQLite goes about the one statement that is asked, a step a line."""
    statements: list[str] = []
    catalog.connection.set_trace_callback(statements.append)
    try:
        ask()
    finally:
        catalog.connection.set_trace_callback(None)
    (statement,) = (text for text in statements if text.startswith("SELECT"))
    steps = catalog.connection.execute(f"EXPLAIN QUERY PLAN {statement}")
    return "".join(f"{step}\n" for *_, step in steps)
