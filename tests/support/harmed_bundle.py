"""A bundle of every kind of record, and ways to harm one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tracing.call import Waits
from tracing.scope import Scope
from tracing.terminal import TransportEnd

from . import events as wire
from .killed_recorder import BODY
from .recording import Recording, answer

STREAM = wire.sse_pieces(*wire.text_stream("Hel", "lo"))
CAPTURE = "streams/1.cap"
LOG = "trace.jsonl"


def record_all_kinds(made: Recording) -> None:
    """Calls of every ending, a compaction, a prewarm, an exchange and a loss."""
    made.call(*STREAM)
    answer(made.ask(BODY), STREAM[:6], end=TransportEnd.CLIENT_CLOSED)
    answer(made.ask(b"torn {"), [b'{"error":{}}'], status=429)
    made.ask(BODY).ended(TransportEnd.CLIENT_CLOSED, None, Waits())
    made.call(STREAM[-1], body=BODY | {"generate": False})
    answer(made.ask(BODY, scope=Scope.COMPACTION), STREAM)
    made.begin_exchange().ended(TransportEnd.EOF, None, Waits())
    made.journal.note_loss({"capture_bytes": 1})


def lines_of(bundle: Path) -> list[dict[str, Any]]:
    """The events as they stand in the log."""
    return [json.loads(line) for line in (bundle / LOG).read_bytes().splitlines()]


def write_lines(bundle: Path, lines: list[dict[str, Any]], *, renumber: bool = False) -> None:
    """Write these events as the log; renumbered, the sequence is as it should be."""
    if renumber:
        lines = [line | {"seq": seq} for seq, line in enumerate(lines, start=1)]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (bundle / LOG).write_text(text)


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """Overwrite bytes of a file; a negative offset counts from its end."""
    whole = path.read_bytes()
    offset %= len(whole)
    path.write_bytes(whole[:offset] + data + whole[offset + len(data) :])


def edit_file(path: Path, edit: Callable[[bytes], bytes]) -> None:
    """Write a file as `edit` makes it."""
    path.write_bytes(edit(path.read_bytes()))
