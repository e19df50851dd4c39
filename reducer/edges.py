"""Matches messages between threads with the items that show them, in whichever order both come."""

from collections.abc import Iterable

from .agent_values import Shown, shown_by
from .diagnostics import Code
from .edge_records import Anchor, Delivery, Edge
from .fold import Fold
from .records import Item


def note_sighting(fold: Fold, item: Item) -> None:
    """End the oldest edge that waits for what an item shows at the item."""
    if not fold.runtime.deliveries or item.item_id in fold.runtime.edge_targets:
        return
    shown = _shown_to_thread(fold, item)
    if shown is None:
        return
    for delivery in fold.runtime.deliveries:
        if delivery.target_thread_id == item.thread_id and _fits(delivery, shown):
            fold.runtime.deliveries.remove(delivery)
            _end_at_item(fold, delivery, item)
            return


def deliver(fold: Fold, delivery: Delivery) -> None:
    """End an edge at the first item that shows its message, or let it wait for one."""
    thread = fold.threads.get(delivery.target_thread_id)
    for item in () if thread is None else thread.items:
        if item.item_id in fold.runtime.edge_targets:
            continue
        shown = _shown_to_thread(fold, item)
        if shown is not None and _fits(delivery, shown):
            _end_at_item(fold, delivery, item)
            return
    waiting = (d for d in fold.runtime.deliveries if d.edge_id == delivery.edge_id)
    known = next(waiting, None)
    if known is None:
        fold.runtime.deliveries.append(delivery)
    elif known.identity != delivery.identity:
        fold.odd(Code.EDGE_CONFLICT, f"{known.edge_id} was told of with another message")
    else:
        known.started_at_unix_ms = min(known.started_at_unix_ms, delivery.started_at_unix_ms)
        known.ended_at_unix_ms = _later(known.ended_at_unix_ms, delivery.ended_at_unix_ms)
        add_new(known.raw_payload_ids, delivery.raw_payload_ids)


def settle(fold: Fold) -> None:
    """End the spawns whose message no item ever showed at the threads that they began."""
    for delivery in fold.runtime.deliveries:
        spawned = delivery.spawned_thread_id
        if spawned is not None and spawned in fold.threads:
            put(fold, _edge(delivery, {"type": "thread", "thread_id": spawned}))
    fold.runtime.deliveries.clear()


def put(fold: Fold, edge: Edge) -> None:
    """Keep an edge, or add what is new to the one that is known by its id."""
    known = fold.runtime.edges.setdefault(edge.edge_id, edge)
    if known is edge:
        return
    if (known.kind, known.source, known.target) != (edge.kind, edge.source, edge.target):
        fold.odd(Code.EDGE_CONFLICT, f"{edge.edge_id} was told of with other ends")
        return
    known.started_at_unix_ms = min(known.started_at_unix_ms, edge.started_at_unix_ms)
    known.ended_at_unix_ms = _later(known.ended_at_unix_ms, edge.ended_at_unix_ms)
    add_new(known.carried_item_ids, edge.carried_item_ids)
    add_new(known.carried_raw_payload_ids, edge.carried_raw_payload_ids)


def carried_by(fold: Fold, source: Anchor) -> list[str] | None:
    """What the first edge from a source carries, or else the first message on its way from it."""
    edges = [edge for edge in fold.runtime.edges.values() if edge.source == source]
    if edges:
        return min(edges, key=lambda edge: edge.edge_id).carried_raw_payload_ids
    waiting = (d for d in fold.runtime.deliveries if d.source == source)
    delivery = next(waiting, None)
    return None if delivery is None else delivery.raw_payload_ids


def add_new(known: list[str], ids: Iterable[str]) -> None:
    """Append the ids that are not there yet."""
    known += [new for new in dict.fromkeys(ids) if new not in known]


def _end_at_item(fold: Fold, delivery: Delivery, item: Item) -> None:
    edge = _edge(delivery, {"type": "conversation_item", "item_id": item.item_id})
    edge.carried_item_ids.append(item.item_id)
    put(fold, edge)
    fold.runtime.edge_targets.add(item.item_id)


def _edge(delivery: Delivery, target: Anchor) -> Edge:
    return Edge(
        edge_id=delivery.edge_id,
        kind=delivery.kind,
        source=delivery.source,
        target=target,
        started_at_unix_ms=delivery.started_at_unix_ms,
        ended_at_unix_ms=delivery.ended_at_unix_ms,
        carried_raw_payload_ids=delivery.raw_payload_ids,
    )


def _shown_to_thread(fold: Fold, item: Item) -> Shown | None:
    """The message that an item shows to the very agent that its thread is of."""
    shown = shown_by(item.content)
    is_own = shown is not None and shown.recipient == fold.threads[item.thread_id].agent_path
    return shown if is_own else None


def _fits(delivery: Delivery, shown: Shown) -> bool:
    return (delivery.author, delivery.content) == (shown.author, shown.content)


def _later(one: int | None, other: int | None) -> int | None:
    times = [time for time in (one, other) if time is not None]
    return max(times, default=None)
