"""Conversations as trees: what links say of many calls, by the logical requests that clients made.

A logical request is one call, or a call and its retries. Two that continue the same one are
branches.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .call_facts import CallKey
from .link_rules import Link
from .links import Links


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalRequest:
    """One request as the client meant it. `attempts` are its calls, the first one first.

    `children` are the requests that continue any of the attempts, by their first calls.
    """

    attempts: tuple[CallKey, ...]
    continues: Link | None
    parent: CallKey | None
    """The first attempt of the request that is continued."""
    root: CallKey
    children: tuple[CallKey, ...]

    @property
    def key(self) -> CallKey:
        """The first attempt, which stands for the request."""
        return self.attempts[0]

    @property
    def is_branch_point(self) -> bool:
        """Whether the conversation goes on in several ways from here."""
        return len(self.children) > 1

    def as_json(self) -> dict[str, object]:
        """The request, ready for JSON."""
        return {
            "attempts": [_key_json(key) for key in self.attempts],
            "continues": None
            if self.continues is None
            else {**_key_json(self.continues.call), "by": str(self.continues.by)},
            "children": [_key_json(key) for key in self.children],
        }


class Conversations:
    """The trees among some calls. Requests are in the order in which they began."""

    def __init__(self, links: Links) -> None:
        self._first: dict[CallKey, CallKey] = {}
        attempts: dict[CallKey, list[CallKey]] = {}
        children: dict[CallKey, list[CallKey]] = {}
        roots: dict[CallKey, CallKey] = {}
        for call in links.calls:
            retry = links.retries.get(call.key)
            first = call.key if retry is None else retry.first
            self._first[call.key] = first
            attempts.setdefault(first, []).append(call.key)
            if first != call.key:
                continue
            link = links.continues.get(first)
            parent = None if link is None else self._first[link.call]
            roots[first] = first if parent is None else roots[parent]
            if parent is not None:
                children.setdefault(parent, []).append(first)
        self._requests = {
            first: _request(links, self._first, tuple(made), roots[first], children.get(first, ()))
            for first, made in attempts.items()
        }

    @property
    def requests(self) -> Mapping[CallKey, LogicalRequest]:
        """All requests, by their first attempts."""
        return self._requests

    @property
    def roots(self) -> tuple[LogicalRequest, ...]:
        """The requests that continue none: one for each conversation."""
        return tuple(each for each in self._requests.values() if each.parent is None)

    @property
    def branch_points(self) -> tuple[LogicalRequest, ...]:
        """The requests that more than one other continues."""
        return tuple(each for each in self._requests.values() if each.is_branch_point)

    def of(self, call: CallKey) -> LogicalRequest:
        """The request that a call is an attempt of. Raises KeyError for an unknown call."""
        return self._requests[self._first[call]]

    def path_to(self, call: CallKey) -> list[LogicalRequest]:
        """The requests from the root to that of a call: its conversation, no other branch."""
        path = [self.of(call)]
        while path[-1].parent is not None:
            path.append(self._requests[path[-1].parent])
        return path[::-1]

    def tree(self, root: CallKey) -> Iterator[tuple[int, LogicalRequest]]:
        """A request and all that continues it, each after its parent and with its depth below it.

        The branches of one request come in the order in which they began.
        """
        waiting = [(0, root)]
        while waiting:
            depth, key = waiting.pop()
            request = self._requests[key]
            yield depth, request
            waiting += [(depth + 1, child) for child in reversed(request.children)]

    def as_json(self) -> list[dict[str, object]]:
        """The conversations, ready for JSON: each one's requests, a parent before its children."""
        return [
            {"requests": [request.as_json() for _, request in self.tree(root.key)]}
            for root in self.roots
        ]


def _request(
    links: Links,
    first_of: Mapping[CallKey, CallKey],
    attempts: tuple[CallKey, ...],
    root: CallKey,
    children: list[CallKey] | tuple[CallKey, ...],
) -> LogicalRequest:
    link = links.continues.get(attempts[0])
    return LogicalRequest(
        attempts=attempts,
        continues=link,
        parent=None if link is None else first_of[link.call],
        root=root,
        children=tuple(children),
    )


def _key_json(key: CallKey) -> dict[str, object]:
    return {"trace": key.trace_id, "call": key.call_id}
