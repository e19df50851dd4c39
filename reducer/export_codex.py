"""Exports a bundle, or a part of one, as a bundle that Codex's reducer takes.

One of which there is nothing odd to tell is taken as it stands, any other one is projected.
"""

from pathlib import Path

from tracing.bundle_reader import DamagedPayload, PayloadRef, RawEvent
from tracing.events import EVENT_LOG_NAME, PAYLOADS_NAME

from .codex_pieces import Piece, Pieces, Selection, event_piece, manifest_piece
from .codex_projection import Projection
from .fields import object_of
from .fold import Fold
from .replay import fold_bundle

__all__ = ["Piece", "Selection", "export_codex"]


def export_codex(bundle: Path, selection: Selection) -> Pieces:
    """Replay the bundle in a directory, and give the bundle to write, payloads before their events.

    Raises what `read_bundle` raises, before it gives anything.
    """
    fold = fold_bundle(bundle)
    if selection.is_all and not fold.diagnostics.as_json():
        return _as_it_stands(fold)
    return Projection(fold, selection).pieces()


def _as_it_stands(fold: Fold) -> Pieces:
    yield manifest_piece(fold, fold.root_thread_id)
    yield Piece(EVENT_LOG_NAME, b"")  # there may be no event
    paths: dict[str, str] = {}
    for event in fold.reader.events():
        if not isinstance(event, RawEvent):
            continue  # the tail of a bundle that is being written
        payload = dict(event.payload)
        for key, value in event.payload.items():
            ref = PayloadRef.parse(value)
            data = None if ref is None else fold.reader.payload_bytes(ref)
            if ref is None or data is None or isinstance(data, DamagedPayload):
                continue
            if ref.path not in paths:
                paths[ref.path] = f"{PAYLOADS_NAME}/{len(paths) + 1}.json"
                yield Piece(paths[ref.path], data)
            payload[key] = {**object_of(event.payload, key), "path": paths[ref.path]}
        yield event_piece(fold, event, event.seq, event.thread_id, event.codex_turn_id, payload)
