"""Any links are laid out so that each request has one place, after the one that it continues."""

import sqlite3
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from viewer.catalog.schema import TABLES
from viewer.thread.shape import Shape, read_shape

Links = list[tuple[int | None, int | None]]
"""For each call: what it continues, and what it tries again."""


@st.composite
def links(draw: st.DrawFn) -> Links:
    """Calls, each linked to an earlier one or to none; the first one began the conversation."""
    found: Links = [(None, None)]
    for call in range(2, draw(st.integers(2, 30))):
        earlier = draw(st.integers(1, call - 1))
        is_retry = draw(st.sampled_from([False, False, False, True]))
        found.append((None, earlier) if is_retry else (earlier, None))
    return found


def shape_of(found: Links) -> Shape:
    """The shape of a conversation with these links. Calls are numbered from 1, as they began."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(TABLES)
    columns = connection.execute("PRAGMA table_info(calls)").fetchall()
    needed = {
        name: 0 if kind == "INTEGER" else ""
        for _, name, kind, is_needed, *_ in columns
        if is_needed
    }
    attempts: dict[int, int] = {}
    for call, (continues, retry_of) in enumerate(found, start=1):
        attempts[call] = 1 if retry_of is None else attempts[retry_of] + 1
        values = {
            **needed,
            "id": call,
            "call_id": f"c{call}",
            "started_at_unix_ms": call,
            "conversation": 1,
            "continues": continues,
            "retry_of": retry_of,
            "attempt": attempts[call],
        }
        marks = ", ".join("?" for _ in values)
        names = ", ".join(values)
        connection.execute(f"INSERT INTO calls ({names}) VALUES ({marks})", [*values.values()])
    shape = read_shape(connection, 1)
    connection.close()
    return shape


@settings(max_examples=100, deadline=None)
@given(found=links())
def test_each_request_has_one_place_after_its_parent(found: Links) -> None:
    """Every call is in one request; branches are whole, and begin where another one forks."""
    shape = shape_of(found)
    assert sorted(call for node in shape.nodes for call in node.attempts) == sorted(shape.place_of)
    assert len(shape.place_of) == len(found)
    assert [node.index for node in shape.nodes] == list(range(len(shape.nodes)))
    assert sum(branch.length for branch in shape.branches) == len(shape.nodes)
    for node in shape.nodes:
        if node.parent is not None:
            assert node.parent.index < node.index
            assert node.depth == node.parent.depth + 1
            assert node in node.parent.children
    for branch in shape.branches:
        way = shape.nodes[branch.start : branch.start + branch.length]
        assert {node.branch for node in way} == {branch.number}
        assert all(later.parent is earlier for earlier, later in pairwise(way))
        first = way[0].parent
        assert branch.forks_from == (None if first is None else first.index)
    main = shape.branches[0]
    assert main.start == 0


def test_main_way_is_the_one_with_most_requests() -> None:
    """A question that was asked aside is told after what came of the other one."""
    shape = shape_of([(None, None), (1, None), (1, None), (3, None), (4, None), (2, None)])
    assert [node.attempts for node in shape.nodes] == [[1], [3], [4], [5], [2], [6]]
    assert [branch.forks_from for branch in shape.branches] == [None, 0]


def test_conversation_may_be_deeper_than_the_stack() -> None:
    """Agents go on for thousands of calls."""
    shape = shape_of([(None, None), *((call, None) for call in range(1, 5000))])
    assert (len(shape.nodes), len(shape.branches)) == (5000, 1)
    assert shape.nodes[-1].depth == 4999


def test_link_to_a_call_that_is_not_there_begins_a_way_of_its_own() -> None:
    """Another process may have removed it just now."""
    shape = shape_of([(None, None), (1, None), (77, None)])
    assert [branch.forks_from for branch in shape.branches] == [None, None]


def test_no_calls_have_no_shape() -> None:
    """A conversation that does not exist has none."""
    assert shape_of([]).nodes == ()
