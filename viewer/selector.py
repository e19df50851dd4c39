"""Finds the call, thread or bundle that a person names by an id, a part of one, or `last`.

It goes through entries, wherever they come from; here they come from reading every bundle.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tracing.bundle_reader import BundleReader, NotABundle, RawEvent
from tracing.events import EVENT_LOG_NAME

LAST = "last"
MATCHES_NAMED_MAX = 5

_TERMINALS = {"inference_completed", "inference_failed", "inference_cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a selector can name: a call, or a thread where no call is named."""

    bundle: Path
    thread_id: str
    call_id: str | None = None

    def __str__(self) -> str:
        """For a message about several of them."""
        what = f"thread {self.thread_id}" if self.call_id is None else f"call {self.call_id}"
        return f"{what} in {self.bundle}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One id of a target. `at_unix_ms` is when the target began."""

    name: str
    target: Target
    at_unix_ms: int


class NoSuchSelection(Exception):
    """Nothing goes by the selector, or more than one thing does; the message says what to do."""


def select(selector: str, entries: Iterable[Entry]) -> Target:
    """The one target that an id names, whole or by its beginning or end; or the latest call.

    Raises NoSuchSelection.
    """
    entries = list(entries)
    if selector == LAST:
        calls = [entry for entry in entries if entry.target.call_id is not None]
        if not calls:
            raise NoSuchSelection("there is no call yet")
        return max(calls, key=lambda entry: entry.at_unix_ms).target
    exact = {entry.target: None for entry in entries if entry.name == selector}
    found = exact or _without_threads_of_calls(
        {
            entry.target: None
            for entry in entries
            if selector and (entry.name.startswith(selector) or entry.name.endswith(selector))
        }
    )
    if not found:
        raise NoSuchSelection(
            f"no call, response, request or thread has an id that is, begins or ends with"
            f" {selector!r}"
        )
    if len(found) > 1:
        named = "; ".join(str(target) for target in list(found)[:MATCHES_NAMED_MAX])
        more = "" if len(found) <= MATCHES_NAMED_MAX else f"; and {len(found) - MATCHES_NAMED_MAX}"
        raise NoSuchSelection(
            f"{selector!r} names {len(found)}: {named}{more and f'{more} more'}."
            " Give more of the id, or the bundle's directory"
        )
    return next(iter(found))


def _without_threads_of_calls(targets: dict[Target, None]) -> dict[Target, None]:
    """A thread that was made for a call has the call's id in its own."""
    of_calls = {(target.bundle, target.thread_id) for target in targets if target.call_id}
    return {
        target: None
        for target in targets
        if target.call_id or (target.bundle, target.thread_id) not in of_calls
    }


def entries_under(trace_dir: Path) -> Iterator[Entry]:
    """Every id in the bundles of a trace directory. What cannot be read has none."""
    # A name with a dot is that of a bundle which is being removed.
    for log in sorted(trace_dir.glob(f"[!.]*/{EVENT_LOG_NAME}")):
        try:
            yield from _entries_of(log.parent)
        except (NotABundle, OSError):
            continue


def _entries_of(bundle: Path) -> Iterator[Entry]:
    calls: dict[str, Entry] = {}
    threads: set[str] = set()
    for event in BundleReader(bundle, needs_manifest=False).events():
        if not isinstance(event, RawEvent):
            continue
        call_id, thread_id = (event.payload.get(k) for k in ("inference_call_id", "thread_id"))
        if isinstance(thread_id, str) and thread_id not in threads:
            threads.add(thread_id)
            target = Target(bundle=bundle, thread_id=thread_id)
            yield Entry(name=thread_id, target=target, at_unix_ms=event.wall_time_unix_ms)
        if not isinstance(call_id, str):
            continue
        if event.type == "inference_started" and isinstance(thread_id, str):
            target = Target(bundle=bundle, thread_id=thread_id, call_id=call_id)
            begun = Entry(name=call_id, target=target, at_unix_ms=event.wall_time_unix_ms)
            yield calls.setdefault(call_id, begun)
        elif event.type in _TERMINALS and call_id in calls:
            begun = calls[call_id]
            for name in _ids_of_response(event):
                yield Entry(name=name, target=begun.target, at_unix_ms=begun.at_unix_ms)


def _ids_of_response(event: RawEvent) -> Iterator[str]:
    proxy = event.payload.get("proxy")
    known_from_wire = proxy.get("response_id") if isinstance(proxy, dict) else None
    payload = event.payload
    for name in (payload.get("response_id"), known_from_wire, payload.get("upstream_request_id")):
        if isinstance(name, str):
            yield name
