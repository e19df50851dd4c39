"""Links each call to the one that it continues, and each retry to what it tries again.

It works on facts alone, so that it links the calls of one bundle or of many. A call only ever
continues one that began before it: links make trees, whatever the bundles hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .attempts import Retry, find_retry
from .call_facts import BundleFacts, CallFacts, CallKey
from .calls_in_memory import CallsInMemory
from .link_rules import EarlierCalls, Link, find_link, order_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """The links among some calls. `calls` are all of them, in the order in which they began."""

    calls: tuple[CallFacts, ...]
    continues: Mapping[CallKey, Link]
    retries: Mapping[CallKey, Retry]


def link_calls(bundles: Iterable[BundleFacts]) -> Links:
    """Link the calls of some bundles, which may be given in any order.

    A call of which there are two, since a bundle was copied, counts once.
    """
    bundles = list(bundles)
    calls = sorted(_once_each(bundles), key=order_of)
    earlier = CallsInMemory(_prewarms_of(bundles))
    for call in calls:
        earlier.add(call, *place(call, earlier))
    return Links(calls=tuple(calls), continues=earlier.links, retries=earlier.retries)


def place(call: CallFacts, earlier: EarlierCalls) -> tuple[Link | None, Retry | None]:
    """What a call continues and what it tries again; a retry continues what the first attempt did.

    The calls before it have to be placed already.
    """
    retry = find_retry(call, earlier)
    link = find_link(call, earlier) if retry is None else earlier.link_of(retry.first)
    return link, retry


def _once_each(bundles: Iterable[BundleFacts]) -> Iterable[CallFacts]:
    """Each call once; of two that differ, as an older copy's does, one that ended."""
    found: dict[CallKey, CallFacts] = {}
    for bundle in bundles:
        for call in bundle.calls:
            other = found.get(call.key)
            if other is not None and other != call:
                call = max(call, other, key=lambda each: (each.status != "running", repr(each)))
            found[call.key] = call
    return found.values()


def _prewarms_of(bundles: Iterable[BundleFacts]) -> Mapping[str, str | None]:
    pairs = {pair for bundle in bundles for pair in bundle.prewarms.items()}
    return dict(sorted(pairs, key=lambda pair: (pair[0], pair[1] or "")))
