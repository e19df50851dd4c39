"""The shape of a conversation: its logical requests as a tree, laid out branch after branch."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .view import Branch


@dataclass(slots=True, kw_only=True)
class Node:
    """A logical request, by the catalog's ids of its calls, the first attempt first."""

    attempts: list[int]
    started_at_unix_ms: int
    parent: "Node | None" = None
    children: list["Node"] = field(default_factory=list)
    size: int = 1
    """How many requests there are from here on, this one among them."""
    index: int = 0
    branch: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A conversation's requests, in the order in which they are told."""

    nodes: tuple[Node, ...]
    branches: tuple[Branch, ...]
    place_of: Mapping[int, int]
    """The index of each call's request, by the call's id."""


def read_shape(connection: sqlite3.Connection, conversation: int) -> Shape:
    """Read the shape of a conversation; one without calls is none."""
    rows = connection.execute(
        "SELECT id, continues, retry_of, started_at_unix_ms FROM calls WHERE conversation = ?"
        " ORDER BY attempt, started_at_unix_ms, id",
        (conversation,),
    ).fetchall()
    nodes = _nodes(rows)
    roots = [node for node in nodes if node.parent is None]
    _measure(roots)
    placed, branches = _lay_out(sorted(roots, key=_weight, reverse=True))
    place_of = {call: node.index for node in placed for call in node.attempts}
    return Shape(nodes=tuple(placed), branches=tuple(branches), place_of=place_of)


def _nodes(rows: Iterable[tuple[int, int | None, int | None, int]]) -> list[Node]:
    """The requests, linked. Rows are ordered by attempt, so that what is retried comes first."""
    of_call: dict[int, Node] = {}
    links: list[tuple[Node, int]] = []
    for call, continues, retry_of, started_at_unix_ms in rows:
        node = None if retry_of is None else of_call.get(retry_of)
        if node is None:
            node = Node(attempts=[], started_at_unix_ms=started_at_unix_ms)
            if continues is not None:
                links.append((node, continues))
        node.attempts.append(call)
        of_call[call] = node
    for node, continues in links:
        parent = of_call.get(continues)
        if parent is not None:
            node.parent = parent
            parent.children.append(node)
    return list({id(node): node for node in of_call.values()}.values())


def _measure(roots: list[Node]) -> None:
    """Count what hangs below each request; conversations are deeper than Python's stack."""
    order = list(roots)
    for node in order:  # it grows meanwhile: each request stands before those that continue it
        order += node.children
    for node in reversed(order):
        node.size = 1 + sum(child.size for child in node.children)


def _weight(node: Node) -> tuple[int, int]:
    return (node.size, node.started_at_unix_ms)


def _lay_out(roots: list[Node]) -> tuple[list[Node], list[Branch]]:
    """Put each way in a row: that with most requests first, then what leaves it, in its order."""
    placed: list[Node] = []
    branches: list[Branch] = []
    waiting = roots[::-1]
    while waiting:
        begin = waiting.pop()
        number, start, leaving = len(branches), len(placed), []
        node: Node | None = begin
        while node is not None:
            node.index, node.branch = len(placed), number
            node.depth = 0 if node.parent is None else node.parent.depth + 1
            placed.append(node)
            node.children.sort(key=lambda child: child.started_at_unix_ms)
            following = max(node.children, key=_weight, default=None)
            leaving += [child for child in node.children if child is not following]
            node = following
        branches.append(
            Branch(
                number=number,
                start=start,
                length=len(placed) - start,
                forks_from=None if begin.parent is None else begin.parent.index,
                started_at_unix_ms=begin.started_at_unix_ms,
            )
        )
        waiting += leaving[::-1]
    return placed, branches
